"""The config `emotions`: the clear frames D_n with their scores, embedding and picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.packing.pictures import FrameTo, encode, framed, stored_frames, valid_box
from pipeline.records import SEVEN_EMOTIONS, Clip, FilteredTake
from pipeline.shards.masks import covered

_SCORES = (*(f"p_{emotion}" for emotion in SEVEN_EMOTIONS), "embedding")
_DECIDED = ("emotion", "clarity", "rank")


@dataclass(frozen=True)
class ClearTake:
    """A take with clear frames: its clip, its split, which network judged and what was decided."""

    clip: Clip
    split: str
    weights_sha256: str
    clear_sha256: str

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
            found.append(ClearTake(clip, row.split, row.weights_sha256, row.clear_sha256))
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
        matrix = framing(frame)
        six = [float(value) for value in matrix.reshape(-1)]
        name = f"{clip.take_id}.{frame:06d}.jpg"
        yield {
            "image_id": f"{clip.take_id}/{frame:06d}",
            "image": {"bytes": encode(framed(stored.crop, clip, matrix, size_px), quality),
                      "path": name},
            "speaker": clip.speaker,
            "take_id": clip.take_id,
            "frame": frame,
            "time_s": stored.instant_s,
            "split": take.split,
            "dataset": clip.dataset,
            "level": clip.level,
            "view": clip.view,
            "frame_to_image": six,
            "image_covered": float(covered(six, valid_box(clip), size_px).mean()),
            **{name: row[name] for name in _DECIDED},
            **{name: score[name] for name in _SCORES},
        }  # fmt: skip
