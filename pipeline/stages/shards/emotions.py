"""The config `emotions`: the clear frames D_n with their scores, embedding and picture."""

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
    """A take with clear frames: its clip, its split, which network judged and what was decided."""

    clip: Clip
    split: str
    weights_sha256: str
    clear_sha256: str
    n_kept: int

    def identity(self) -> tuple[object, ...]:
        """All that the rows of this take depend on."""
        return self.clip.to_row(), self.split, self.weights_sha256, self.clear_sha256


@dataclass(frozen=True)
class ClearSources:
    """Where the rows come from: frame file and framing of a take, its decisions and its scores.

    `decided` gives the rows of `CLEAR_SCHEMA` of the take's kept frames, `scores` those of
    `SCORES_SCHEMA` of all its scored ones.
    """

    frames_file: Callable[[Clip], Path]
    framing: Callable[[Clip], FrameTo]
    decided: Callable[[Clip], pa.Table]
    scores: Callable[[Clip], pa.Table]


def clear_takes(
    filtered: Iterable[FilteredTake], clips: Mapping[str, Clip]
) -> tuple[list[ClearTake], list[Clip]]:
    """The takes with a clear frame, and those among them that have no split."""
    found, without = [], []
    for row in filtered:
        if not row.n_kept:
            continue
        clip = clips[row.take_id]
        if row.split is None:
            without.append(clip)
        else:
            found.append(
                ClearTake(clip, row.split, row.weights_sha256, row.clear_sha256, row.n_kept)
            )
    return found, without


def clear_rows(
    take: ClearTake, sources: ClearSources, size_px: int, quality: int
) -> Iterator[dict[str, Any]]:
    """The rows of the config `emotions` of one take, in order of time."""
    clip, framing = take.clip, sources.framing(take.clip)
    decided = sources.decided(clip)
    scores = sources.scores(clip)
    scores = scores.filter(pc.is_in(scores["frame"], decided["frame"].combine_chunks()))
    pictures = stored_frames(sources.frames_file(clip), decided["frame"].to_pylist())
    rows = zip(decided.to_pylist(), scores.to_pylist(), pictures, strict=True)
    for row, score, stored in rows:
        frame = row["frame"]
        yield {
            **frame_columns(clip, frame, stored, framing(frame), size_px, quality),
            "split": take.split,
            **{name: row[name] for name in _DECIDED},
            **{name: score[name] for name in _SCORES},
        }
