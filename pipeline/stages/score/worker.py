"""Score one take: the worker of the stage `score`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.clip.judge import Judge
from pipeline.clip.scorer import Scorer
from pipeline.digests import sha256_of
from pipeline.records import Clip, ScoredTake, rejected
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import write_table
from pipeline.runtime.units import UnitResult
from pipeline.stages.score.take_scores import score_take, table_of

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
