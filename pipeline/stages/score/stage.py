"""score: how clearly CLIP sees each of the seven emotions in the frames of a take.

The unit of work is a take; pictures are cut into batches inside it, so that its bytes do not
depend on what else is done. A worker loads the network once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.clip.judge import Judge, find_judge, load_scorer
from pipeline.clip.scorer import Scorer
from pipeline.digests import digest, sha256_of
from pipeline.errors import MissingWeightsError
from pipeline.records import Clip, Rejected, ScoredTake, rejected
from pipeline.runtime.costs import short
from pipeline.runtime.run import Batch, Outcome, Run, Summary, Unit, bring_up_to_date, summarise
from pipeline.runtime.store import ItemStore, make_folder
from pipeline.runtime.tables import sorted_rows, write_table
from pipeline.stages.score.take_scores import score_take, table_of
from spfem_data.labels import EMOTIONS

VERSION = 1
SCORES = ".scores.parquet"
_GRAIN = "take"
_BESIDE_EMBEDDING = 50
"""Bytes of a frame's row without its embedding, about."""


@dataclass(frozen=True)
class _Payload:
    """What the worker is given: one take, its frame file, and which network judges how."""

    clip: Clip
    frames_file: Path
    budget: int
    judge: Judge


@dataclass(frozen=True)
class Planned:
    """The units of a dataset and the network that judges, or why there is none."""

    units: list[Unit]
    judge: Judge | None
    idle: str | None = None


def run(run: Run) -> Summary:
    """Score the takes of a dataset; without weights there are no scores, and the summary says so.

    Raises
    ------
    OutOfOrderError
        When extract has not run.
    ParameterError
        When the section names a network or device that cannot be.
    """
    planned = plan(run)
    if planned.judge is None:
        return _nothing(run, str(planned.idle))
    batch = bring_up_to_date(
        run, "score", _GRAIN, planned.units, score_one,
        setup=partial(load_scorer, planned.judge), device=planned.judge.device,
    )  # fmt: skip
    return _write(run, batch, planned.judge, len(planned.units))


def plan(run: Run) -> Planned:
    """The takes to score, each with its key, or why nothing is scored.

    Raises
    ------
    OutOfOrderError
        When extract has not run.
    ParameterError
        When the section names a network or device that cannot be.
    """
    clips = run.need("extract", "clips", Clip)
    section = run.params.score
    if not section.weights:
        why = "score.weights is empty: no network scores, and D_n will be empty"
        return Planned([], None, why)
    try:
        judge = find_judge(section, run.params.models, run.data)
    except MissingWeightsError as error:
        return Planned([], None, f"nothing is scored, and D_n will be empty: {error}")
    return Planned([_unit(clip, run, judge) for clip in clips], judge)


def _unit(clip: Clip, run: Run, judge: Judge) -> Unit:
    budget = run.params.score.frames_per_take
    key = digest(["score", VERSION, judge.identity(), budget, clip.to_row()])
    name = f"{clip.speaker}/{clip.take_id}"
    frames_file = run.items("extract").path(name, ".frames.parquet")
    effort = min(clip.n_found, budget or clip.n_found)
    embedding = 4 * int(judge.architecture.config["embed_dim"])
    return Unit(
        name, key, _Payload(clip, frames_file, budget, judge),
        effort=effort, volume=effort * (embedding + _BESIDE_EMBEDDING),
        code=short(VERSION), parameters=short(judge.identity(), budget),
    )  # fmt: skip


def score_one(scorer: Scorer, store: ItemStore, unit: str, take: _Payload) -> Outcome:
    """Score one take: a function of its frame file, the network and the prompts."""
    clip, judge = take.clip, take.judge
    if not clip.has_picture:
        return _lost(clip, "sound_only", "a take of sound alone")
    frames, scores = score_take(
        scorer, take.frames_file, clip, framing=judge.framing, budget=take.budget
    )
    if scores is None:
        return _lost(clip, "no_face", f"of {clip.n_frames} frames none has a face")
    path = store.path(unit, SCORES)
    write_table(path, table_of(frames, scores))
    row = ScoredTake(
        **{name: getattr(clip, name) for name in _FROM_CLIP},
        n_scored=len(frames),
        p=tuple(float(p) for p in scores.p.mean(axis=0)),
        weights_sha256=judge.weights.sha256,
        scores_sha256=sha256_of(path),
    )
    return Outcome(suffixes=[SCORES], rows={"scores": [row.to_row()]})


_FROM_CLIP = ("take_id", "dataset", "speaker", "emotion", "level", "view", "split", "n_frames")


def _lost(clip: Clip, reason: str, detail: str) -> Outcome:
    return Outcome(rejects=[rejected("score", _GRAIN, clip.take_id, reason, detail)])


def _write(run: Run, batch: Batch, judge: Judge, planned: int) -> Summary:
    scored = sorted_rows(batch.rows("scores"), ScoredTake, "take_id")
    rejects = batch.rejects()
    run.write_tables("score", {"scores": (ScoredTake, scored), "rejected": (Rejected, rejects)})
    return summarise(
        "score", run, _GRAIN, planned, len(scored), rejects, batch,
        notes=_notes(scored, judge), look=[str(run.table("score", "scores"))],
    )  # fmt: skip


def _nothing(run: Run, why: str) -> Summary:
    """Empty tables; what was scored before stays, for when the weights are back."""
    make_folder(run.items("score").folder)
    run.write_tables("score", {"scores": (ScoredTake, []), "rejected": (Rejected, [])})
    return summarise("score", run, _GRAIN, 0, 0, [], Batch({}, 0, 0, 0), notes=[why])


def _notes(scored: Sequence[ScoredTake], judge: Judge) -> list[str]:
    if not scored:
        return ["no take was scored: see the rejects"]
    frames = sum(take.n_scored for take in scored)
    told = f"{frames} of {sum(t.n_frames for t in scored)} frames scored by {judge.weights.name}"
    known = [take for take in scored if take.emotion in EMOTIONS]
    right = [
        take for take in known if EMOTIONS[int(np.argmax(take.p))] == take.emotion
    ]  # fmt: skip
    return [
        f"{told} on the {judge.device} in {judge.precision}",
        f"{len(right)} of {len(known)} takes look most, on average, like what they are recorded as",
    ]
