"""The config `emotions`: the clear frames D_n with scores, embedding and image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.records import Clip, FilteredTake
from pipeline.takes.framed_images import FrameTo, frame_columns, stored_frames
from spfem_data.labels import EMOTIONS

_SCORES = (*(f"p_{emotion}" for emotion in EMOTIONS), "embedding")
_DECIDED = ("emotion", "clarity", "rank")


@dataclass(frozen=True)
class ClearTake:
    """A take with clear frames: clip, split, and digests of the network and of the decisions."""

    clip: Clip
    split: str
    weights_sha256: str
    clear_sha256: str
    n_kept: int

    def identity(self) -> tuple[object, ...]:
        """Everything that the rows of this take depend on."""
        return self.clip.to_row(), self.split, self.weights_sha256, self.clear_sha256


@dataclass(frozen=True)
class ClearSources:
    """The inputs of the rows: frame file, framing, decisions and scores of a take.

    `decided` returns the rows of `CLEAR_SCHEMA` of the take's kept frames, `scores` the rows of
    `SCORES_SCHEMA` of all its scored frames.
    """

    frames_file: Callable[[Clip], Path]
    framing: Callable[[Clip], FrameTo]
    decided: Callable[[Clip], pa.Table]
    scores: Callable[[Clip], pa.Table]


def clear_takes(
    filtered: Iterable[FilteredTake], clips: Mapping[str, Clip]
) -> tuple[list[ClearTake], list[Clip]]:
    """The takes with a clear frame, and those of them without a split."""
    with_split, without = [], []
    for row in filtered:
        if not row.n_kept:
            continue
        clip = clips[row.take_id]
        if row.split is None:
            without.append(clip)
        else:
            with_split.append(
                ClearTake(clip, row.split, row.weights_sha256, row.clear_sha256, row.n_kept)
            )
    return with_split, without


def clear_rows(
    take: ClearTake, sources: ClearSources, size_px: int, quality: int
) -> Iterator[dict[str, Any]]:
    """The rows of the config `emotions` of one take, in order of time."""
    clip, framing = take.clip, sources.framing(take.clip)
    decided = sources.decided(clip)
    scores = sources.scores(clip)
    scores = scores.filter(pc.is_in(scores["frame"], decided["frame"].combine_chunks()))
    frames = stored_frames(sources.frames_file(clip), decided["frame"].to_pylist())
    rows = zip(decided.to_pylist(), scores.to_pylist(), frames, strict=True)
    for row, score, stored in rows:
        frame = row["frame"]
        yield {
            **frame_columns(clip, frame, stored, framing(frame), size_px, quality),
            "split": take.split,
            **{name: row[name] for name in _DECIDED},
            **{name: score[name] for name in _SCORES},
        }
