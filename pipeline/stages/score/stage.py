"""score: CLIP's probabilities of the seven emotions, and its embedding, for the frames of a take.

The unit of work is a take. Batches never span takes, so that a take's bytes do not depend on other
takes. A worker loads the network once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.clip.judge import Judge, find_judge, load_scorer
from pipeline.digests import digest, short_digest
from pipeline.errors import MissingWeightsError
from pipeline.models.slots import GUIDE
from pipeline.records import Clip, Rejected, ScoredTake
from pipeline.runtime.run import Run
from pipeline.runtime.store import make_folder
from pipeline.runtime.summaries import Summary, summarise
from pipeline.runtime.tables import sorted_rows
from pipeline.runtime.units import Batch, Unit, run_units
from pipeline.stages.score.worker import GRAIN, ScoreJob, score_one
from spfem_data.labels import EMOTIONS

VERSION = 4


@dataclass(frozen=True)
class Planned:
    """The units of a dataset and the network, or why nothing is scored."""

    units: list[Unit]
    judge: Judge | None
    idle: str | None = None


def run(run: Run) -> Summary:
    """Score the takes of a dataset; without usable weights, write empty tables and a note.

    Raises
    ------
    OutOfOrderError
        When extract has not run.
    ParameterError
        When the network, its weights or the device cannot be used.
    """
    planned = plan(run)
    if planned.judge is None:
        return _nothing(run, str(planned.idle))
    batch = run_units(
        run, "score", GRAIN, planned.units, score_one,
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
        When the network, its weights or the device cannot be used.
    """
    clips = run.need("extract", "clips", Clip)
    section = run.params.score
    if not section.weights:
        return Planned([], None, _idle("score.weights is empty"))
    try:
        judge = find_judge(section, run.params.models, run.data, run.entry.corpus)
    except MissingWeightsError as error:
        return Planned([], None, _idle(str(error)))
    return Planned([_unit(clip, run, judge) for clip in clips], judge)


def _unit(clip: Clip, run: Run, judge: Judge) -> Unit:
    budget = run.params.score.frames_per_take
    key = digest(["score", VERSION, judge.identity(), budget, clip.to_row()])
    name = f"{clip.speaker}/{clip.take_id}"
    frames_file = run.items("extract").path(name, ".frames.parquet")
    return Unit(
        name, key, ScoreJob(clip, frames_file, budget, judge),
        code=short_digest(VERSION), parameters=short_digest(judge.identity(), budget),
    )  # fmt: skip


def _write(run: Run, batch: Batch, judge: Judge, planned: int) -> Summary:
    scored = sorted_rows(batch.rows("scores"), ScoredTake, "take_id")
    rejects = batch.rejects()
    run.write_tables("score", {"scores": (ScoredTake, scored), "rejected": (Rejected, rejects)})
    return summarise(
        "score", run, GRAIN, planned, len(scored), rejects, batch,
        notes=_notes(scored, judge), look=[str(run.table("score", "scores"))],
    )  # fmt: skip


def _idle(why: str) -> str:
    return (
        f"no frames are scored: {why}. A CLIP network adds emotion probabilities, clear frames "
        f"(D_n) and a check for mislabelled takes; see {GUIDE}"
    )


def _nothing(run: Run, why: str) -> Summary:
    """Write empty tables; items of earlier runs stay for when the weights are back."""
    make_folder(run.items("score").folder)
    run.write_tables("score", {"scores": (ScoredTake, []), "rejected": (Rejected, [])})
    return summarise("score", run, GRAIN, 0, 0, [], Batch({}, 0, 0, 0), notes=[why])


def _notes(scored: Sequence[ScoredTake], judge: Judge) -> list[str]:
    if not scored:
        return ["no take was scored; see rejected.parquet"]
    frames = sum(take.n_scored for take in scored)
    known = [take for take in scored if take.emotion in EMOTIONS]
    agreeing = [take for take in known if EMOTIONS[int(np.argmax(take.p))] == take.emotion]
    return [
        f"{frames} of {sum(t.n_frames for t in scored)} frames scored by {judge.weights.name} on "
        f"{judge.device} in {judge.precision}",
        judge.architecture.describe(),
        f"in {len(agreeing)} of {len(known)} takes, the most likely emotion is the recorded one",
    ]
