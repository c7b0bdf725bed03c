"""The scores of one take: its chosen frames, framed from their stored crops."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import simplejpeg
from numpy.typing import NDArray

from pipeline.clip.scorer import Scorer, Scores, Source
from pipeline.faces.affine import F64
from pipeline.faces.framing import Framing
from pipeline.records import SCORES_SCHEMA, Clip
from pipeline.stages.score.frame_choice import choose_frames
from pipeline.takes.frame_file import read_columns
from pipeline.takes.framed_images import framed, framing_of, stored_frames
from spfem_data.labels import EMOTIONS

I64 = NDArray[np.int64]


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
            yield partial(_decoded, frame.crop)
        else:
            yield partial(_framed, frame.crop, clip, frame_to(number), size_px)


def _decoded(crop: bytes) -> NDArray[np.uint8]:
    return np.asarray(simplejpeg.decode_jpeg(crop, colorspace="RGB"))


def _framed(crop: bytes, clip: Clip, matrix: F64, size_px: int) -> NDArray[np.uint8]:
    return framed(crop, clip, matrix, size_px)


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
