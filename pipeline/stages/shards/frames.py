"""The config `frames`: unpaired real frames of every take with their emotion.

SSERD's hybrid training uses them (3.3, real unpaired images), and so does the regularisation of a
generator (CDRL 3.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.records import Clip
from pipeline.runtime.tables import read_table
from pipeline.stages.shards.shard_plan import SpokenTake
from pipeline.takes.framed_images import FrameTo, frame_columns, stored_frames

_MEASURES = (
    "yaw_deg", "pitch_deg", "roll_deg", "mouth_open", "mouth_width", "eye_open", "sharpness",
)  # fmt: skip


@dataclass(frozen=True)
class FaceTake:
    """A take with a detected face: its clip, split and sentence."""

    clip: Clip
    split: str
    sentence: str | None

    def identity(self) -> tuple[object, ...]:
        """Everything that the rows of this take depend on."""
        return self.clip.to_row(), self.split, self.sentence


@dataclass(frozen=True)
class FrameSources:
    """The inputs of the rows: the frame file and the framing of a take."""

    frames_file: Callable[[Clip], Path]
    framing: Callable[[Clip], FrameTo]


def face_takes(takes: Iterable[SpokenTake]) -> list[FaceTake]:
    """The takes of the config `takes` with a detected face."""
    return [
        FaceTake(take.clip, take.split, take.sentence.sentence)
        for take in takes
        if take.clip.n_found and take.clip.crop_side_px is not None
    ]


def spaced(n: int, wanted: int) -> list[int]:
    """`wanted` of n positions, evenly spaced, each in the middle of its interval; 0: all."""
    if wanted == 0 or wanted >= n:
        return list(range(n))
    return [int((2 * k + 1) * n / (2 * wanted)) for k in range(wanted)]


def frame_rows(
    take: FaceTake, sources: FrameSources, per_take: int, size_px: int, quality: int
) -> Iterator[dict[str, Any]]:
    """The rows of one take in order of time: frames with a face, evenly spaced over the take."""
    clip, framing = take.clip, sources.framing(take.clip)
    file = sources.frames_file(clip)
    table = read_table(file, columns=["frame", "found", *_MEASURES])
    with_face = np.flatnonzero(table["found"].to_numpy())
    rows = table.take(pa.array(with_face[spaced(len(with_face), per_take)])).to_pylist()
    frames = stored_frames(file, [row["frame"] for row in rows])
    for row, stored in zip(rows, frames, strict=True):
        frame = row["frame"]
        yield {
            **frame_columns(clip, frame, stored, framing(frame), size_px, quality),
            "emotion": clip.emotion,
            "sentence": take.sentence,
            "split": take.split,
            **{name: row[name] for name in _MEASURES},
        }
