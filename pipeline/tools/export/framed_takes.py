"""Whole takes in the framing of the papers, shared by several exports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import PipelineError
from pipeline.faces.affine import F64
from pipeline.faces.framing import Framing
from pipeline.faces.sampling import U8
from pipeline.records import Clip
from pipeline.runtime.store import ItemStore
from pipeline.takes.frame_file import read_columns
from pipeline.takes.framed_images import framed, framing_of, stored_frames
from pipeline.tools.audit.take_lookup import one_view

SIZE_PX = 256
_FRAMING: Framing = "ned256"


@dataclass(frozen=True)
class FramedTake:
    """One take with its files among the items of extract."""

    clip: Clip
    frames_file: Path
    audio_file: Path

    def shown_s(self) -> tuple[F64, F64]:
        """Start and end of every frame in seconds of the container's time."""
        columns = read_columns(self.frames_file, ["time_s", "duration_s"])
        return columns["time_s"], columns["time_s"] + columns["duration_s"]

    def images(self, frames: Sequence[int]) -> Iterator[U8]:
        """Frames by ascending number as (256, 256, 3) RGB, with one framing for the take."""
        matrix = framing_of(_FRAMING, SIZE_PX, self.clip, self.frames_file)(0)
        distinct, repeats = np.unique(np.asarray(frames), return_counts=True)
        stored = stored_frames(self.frames_file, distinct.tolist())
        for one, times in zip(stored, repeats.tolist(), strict=True):
            image = framed(one.crop, self.clip, matrix, SIZE_PX)
            for _ in range(times):
                yield image


def choose(
    clips: Sequence[Clip], items: ItemStore, *, level: int | None, view: str | None
) -> list[FramedTake]:
    """The takes with video of one view, and of one level if given; neutral always.

    Raises
    ------
    PipelineError
        When no take is left or the view does not exist.
    """
    seen = one_view([clip for clip in clips if clip.has_video], view)
    chosen = [c for c in seen if level is None or c.level == level or c.emotion == "neutral"]
    if not chosen:
        raise PipelineError("the dataset has no take with video to export")
    return [
        FramedTake(
            clip,
            items.path(f"{clip.speaker}/{clip.take_id}", ".frames.parquet"),
            items.path(f"{clip.speaker}/{clip.take_id}", ".audio.flac"),
        )
        for clip in sorted(chosen, key=lambda c: (c.speaker, c.emotion, c.take, c.level))
    ]
