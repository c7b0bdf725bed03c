"""Scores as the stage score would leave them, with probabilities and embeddings that we say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.digests import sha256_of
from pipeline.records import SCORES_SCHEMA, Clip, ScoredTake
from pipeline.runtime.run import Run
from pipeline.runtime.tables import read_rows, write_rows, write_table
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS

WEIGHTS = "ab" * 32


def sharp(emotion: str, p: float) -> np.ndarray:
    """Probabilities (7,): `p` for one emotion, the rest shared by the others."""
    row = np.full(7, (1 - p) / 6)
    row[SEVEN_EMOTIONS.index(emotion)] = p
    return row


def turned(degrees: float) -> np.ndarray:
    """A unit embedding (4,) that turns with the angle."""
    angle = np.deg2rad(degrees)
    return np.array([np.cos(angle), np.sin(angle), 0.0, 0.0])


def rising(clip: Clip, k: int) -> tuple[np.ndarray, np.ndarray]:
    """A take that rises from neutral to its emotion: 0.1 at the first frame, near 1 at the last.

    Neutral is clear throughout. Embeddings turn by 10 degrees a frame.
    """
    p = 0.9 if clip.emotion == "neutral" else 0.1 + 0.9 * k / clip.n_frames
    return sharp(clip.emotion, p), turned(10 * k)


Says = Callable[[Clip, int], tuple[np.ndarray, np.ndarray]]
"""Probabilities (7,) and embedding (d,) of a frame."""


def write_scores(
    run: Run, says: Says = rising, split: Mapping[str, str] | None = None, every: int = 1
) -> list[ScoredTake]:
    """Write score's items and table for all clips; frames without a face are not scored."""
    found = []
    for clip in read_rows(run.table("extract", "clips"), Clip):
        frames = list(range(0, clip.n_found, every))
        said = [says(clip, k) for k in frames]
        p = np.array([row for row, _ in said], np.float32).reshape(-1, 7)
        columns = {
            "frame": frames,
            **{f"p_{name}": p[:, k] for k, name in enumerate(SEVEN_EMOTIONS)},
            "embedding": [row.astype(np.float32) for _, row in said],
        }
        path = run.items("score").path(f"{clip.speaker}/{clip.take_id}", ".scores.parquet")
        write_table(path, pa.table(columns, schema=SCORES_SCHEMA))
        found.append(_take(clip, frames, p, path, (split or {}).get(clip.speaker, clip.split)))
    write_rows(run.table("score", "scores"), found, ScoredTake)
    return found


def _take(
    clip: Clip, frames: list[int], p: np.ndarray, path: Path, split: str | None
) -> ScoredTake:
    return ScoredTake(
        take_id=clip.take_id, dataset=clip.dataset, speaker=clip.speaker, emotion=clip.emotion,
        level=clip.level, view=clip.view, split=split, n_frames=clip.n_frames,
        n_scored=len(frames), p=tuple(float(v) for v in p.mean(axis=0)), weights_sha256=WEIGHTS,
        scores_sha256=sha256_of(path),
    )  # fmt: skip
