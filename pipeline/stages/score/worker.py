"""Score one take: the worker of the stage `score`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import simplejpeg
from numpy.typing import NDArray

from pipeline.clip.judge import Judge
from pipeline.clip.scorer import Scorer, Scores, Source
from pipeline.digests import sha256_of
from pipeline.faces.affine import F64
from pipeline.faces.framing import Framing
from pipeline.records import SCORES_SCHEMA, Clip, ScoredTake, rejected
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import write_table
from pipeline.runtime.units import UnitResult
from pipeline.takes.frame_file import read_columns
from pipeline.takes.framed_images import framed, framing_of, stored_frames
from spfem_data.labels import EMOTIONS

I64 = NDArray[np.int64]

_MIDDLE = (
    0.5  # share of a span that is searched, so that chosen frames are at least half a span apart
)


def choose_frames(found: NDArray[np.bool_], sharpness: F64, budget: int) -> I64:
    """Increasing numbers of at most `budget` frames with a face; a budget of 0 means all.

    The frames with a face are divided into `budget` equal spans, and the sharpest frame of each
    span's middle half is taken. The frames are thus spread over onset, apex and offset, and blurred
    ones are avoided.

    Parameters
    ----------
    found
        (n,) whether a face was found.
    sharpness
        (n,) any measure that increases with sharpness; NaN counts as the least sharp.
    """
    numbers = np.flatnonzero(found).astype(np.int64)
    if budget == 0 or len(numbers) <= budget:
        return numbers
    values = np.nan_to_num(sharpness[numbers], nan=-np.inf)
    edges = np.linspace(0, len(numbers), budget + 1)
    chosen = [_sharpest(values, *span) for span in pairwise(edges)]
    return numbers[chosen]


def _sharpest(values: F64, begin: float, end: float) -> int:
    """Index of the largest value in the middle of [begin, end); the first of equals."""
    margin = (end - begin) * (1 - _MIDDLE) / 2
    first = min(int(np.ceil(begin + margin - 0.5)), len(values) - 1)
    last = max(int(np.ceil(end - margin - 0.5)), first + 1)
    return first + int(np.argmax(values[first:last]))


def frames_of(frames_file: Path, budget: int) -> I64:
    """The numbers of the frames of a take that are scored; see `choose_frames`."""
    columns = read_columns(frames_file, ["found", "sharpness"])
    return choose_frames(columns["found"] > 0, columns["sharpness"], budget)


def sources(
    frames_file: Path, clip: Clip, chosen: I64, framing: Framing, size_px: int
) -> Iterator[Source]:
    """The images of the chosen frames, as functions that may run in any thread.

    `head` is the stored crop, resampled by the network's own preprocessing. The other framings
    are sampled once from the crop, at the network's input size.
    """
    frame_to = None if framing == "head" else framing_of(framing, size_px, clip, frames_file)
    stored = stored_frames(frames_file, chosen.tolist())
    for number, frame in zip(chosen.tolist(), stored, strict=True):
        if frame_to is None:
            yield partial(simplejpeg.decode_jpeg, frame.crop, colorspace="RGB")
        else:
            yield partial(framed, frame.crop, clip, frame_to(number), size_px)


def score_take(
    scorer: Scorer, frames_file: Path, clip: Clip, *, framing: Framing, budget: int
) -> tuple[I64, Scores | None]:
    """Frame numbers (n,) and scores of n frames of a take; None if no frame has a face."""
    chosen = frames_of(frames_file, budget)
    return chosen, scorer.score(sources(frames_file, clip, chosen, framing, scorer.size_px))


def table_of(frames: I64, scores: Scores) -> pa.Table:
    """The rows of `SCORES_SCHEMA`."""
    n, d = scores.embedding.shape
    starts = np.arange(0, n * d + 1, d, dtype=np.int32)
    embedding = pa.ListArray.from_arrays(starts, pa.array(scores.embedding.reshape(-1)))
    columns = {
        "frame": pa.array(frames.astype(np.int32)),
        **{f"p_{name}": pa.array(scores.p[:, k]) for k, name in enumerate(EMOTIONS)},
        "embedding": embedding,
    }
    return pa.table(columns, schema=SCORES_SCHEMA)


SCORES = ".scores.parquet"


GRAIN = "take"


@dataclass(frozen=True)
class ScoreJob:
    """The worker's input: one take, its frame file, and the network's settings."""

    clip: Clip
    frames_file: Path
    budget: int
    judge: Judge


def score_one(scorer: Scorer, store: ItemStore, unit: str, take: ScoreJob) -> UnitResult:
    """Score one take: a function of its frame file, the network and the prompts."""
    clip, judge = take.clip, take.judge
    if not clip.has_video:
        return _lost(clip, "audio_only", "an audio-only take")
    frames, scores = score_take(
        scorer, take.frames_file, clip, framing=judge.framing, budget=take.budget
    )
    if scores is None:
        return _lost(clip, "no_face", f"none of {clip.n_frames} frames has a face")
    path = store.path(unit, SCORES)
    write_table(path, table_of(frames, scores))
    row = ScoredTake(
        **{name: getattr(clip, name) for name in _FROM_CLIP},
        n_scored=len(frames),
        p=tuple(float(p) for p in scores.p.mean(axis=0)),
        weights_sha256=judge.weights.sha256,
        scores_sha256=sha256_of(path),
    )
    return UnitResult(suffixes=[SCORES], rows={"scores": [row.to_row()]})


_FROM_CLIP = ("take_id", "dataset", "speaker", "emotion", "level", "view", "split", "n_frames")


def _lost(clip: Clip, reason: str, detail: str) -> UnitResult:
    return UnitResult(rejects=[rejected("score", GRAIN, clip.take_id, reason, detail)])
