"""filter: select the clear frames D_n of every emotion from stored scores; runs no model.

Thresholds and quotas depend on the whole dataset, so one process decides; the unit of work is
writing the rows of a speaker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import pyarrow as pa

from pipeline.digests import digest, short_digest
from pipeline.params import Filter
from pipeline.records import (
    ClarityThreshold,
    Clip,
    FilteredTake,
    Rejected,
    ScoredTake,
    Sentence,
    Suspect,
    YieldPoint,
)
from pipeline.runtime.run import Run, check_takes
from pipeline.runtime.summaries import Summary, summarise
from pipeline.runtime.units import Unit, run_units
from pipeline.splits import split_of_take
from pipeline.stages.filter.decide import Decision, Scored, decide, instants_and_embeddings, load
from pipeline.stages.filter.decision_rows import (
    GRAIN,
    clear_table,
    filtered_take,
    reject_of,
    suspect_rows,
    yield_rows,
)
from pipeline.stages.filter.selection import KEPT
from pipeline.stages.filter.worker import write_speaker
from spfem_data.labels import EMOTIONS

VERSION = 1


@dataclass(frozen=True)
class Planned:
    """The units of a dataset, its scores, and the decisions on frames and takes."""

    units: list[Unit]
    scored: Scored
    decision: Decision
    takes: list[FilteredTake]


def run(run: Run) -> Summary:
    """Choose the clear frames of a dataset.

    Raises
    ------
    OutOfOrderError
        When extract, align or score has not run.
    """
    return _write(run, plan(run))


def plan(run: Run) -> Planned:
    """The verdict on every frame, and the speakers to write, each with its key.

    Raises
    ------
    OutOfOrderError
        When extract, align or score has not run.
    """
    clips = {clip.take_id: clip for clip in run.need("extract", "clips", Clip)}
    sentences = {row.utterance_id: row for row in run.need("align", "sentences", Sentence)}
    takes = run.need("score", "scores", ScoredTake)
    check_takes("score", takes, clips)
    splits = {take.take_id: split_of_take(clips[take.take_id], sentences) for take in takes}
    scored = load(takes, splits, run.items("score"), max(run.options.workers, 1))
    compare = partial(
        instants_and_embeddings,
        scored=run.items("score"), extracted=run.items("extract"),
    )  # fmt: skip
    decision = decide(scored, run.params.filter, compare)
    tables = [clear_table(scored, decision, k) for k in range(len(scored.takes))]
    filtered = [filtered_take(scored, decision, k, rows) for k, rows in enumerate(tables)]
    units = _units(scored, filtered, tables, run.params.filter)
    return Planned(units, scored, decision, filtered)


def _write(run: Run, planned: Planned) -> Summary:
    scored, decision, takes = planned.scored, planned.decision, list(planned.takes)
    found = [reject_of(scored, decision, k) for k in range(len(takes))]
    rejects = sorted((r for r in found if r is not None), key=lambda r: r.item)
    # Writing a speaker's rows takes less time than starting a process.
    here = replace(run, options=replace(run.options, engine="serial"))
    batch = run_units(here, "filter", "speaker", planned.units, write_speaker)
    suspects, yields = suspect_rows(scored, decision), yield_rows(decision)
    takes.sort(key=lambda take: take.take_id)
    run.write_tables(
        "filter",
        {
            "filtered_takes": (FilteredTake, takes),
            "thresholds": (ClarityThreshold, decision.thresholds),
            "yields": (YieldPoint, yields),
            "suspects": (Suspect, suspects),
            "rejected": (Rejected, rejects),
        },
    )
    rejects += batch.rejects()
    return summarise(
        "filter", run, GRAIN, len(takes), len(takes) - len(rejects), rejects, batch,
        notes=_notes(run.params.filter, takes, decision, suspects),
        look=[str(run.table("filter", "filtered_takes"))],
    )  # fmt: skip


def _units(
    scored: Scored, takes: Sequence[FilteredTake], tables: Sequence[pa.Table], section: Filter
) -> list[Unit]:
    """One unit per speaker: its takes' rows, and a key that depends on them."""
    code, parameters = short_digest(VERSION), short_digest(section.key())
    units = []
    for speaker, found in groupby(range(len(scored.takes)), lambda k: scored.takes[k].speaker):
        own = list(found)  # takes are sorted by speaker
        key = digest(["filter", VERSION, [takes[k].to_row() for k in own]])
        rows = pa.concat_tables([tables[k] for k in own])
        units.append(Unit(speaker, key, rows, effort=len(own), code=code, parameters=parameters))
    return units


def _notes(
    section: Filter, takes: Sequence[FilteredTake], decision: Decision, suspects: Sequence[Suspect]
) -> list[str]:
    if not takes:
        return ["no clear frames: no take has scores (see score)"]
    kept = Counter(decision.emotion[decision.verdicts == KEPT].tolist())
    told = ", ".join(f"{name} {kept[n]}" for n, name in enumerate(EMOTIONS))
    notes = [f"{sum(kept.values())} of {len(decision.verdicts)} scored frames are clear: {told}"]
    lacking = [t.emotion for t in decision.thresholds if t.threshold is None]
    if lacking:
        notes.append(f"no frames in train to fit a threshold on: {', '.join(lacking)}")
    if suspects:
        names = ", ".join(f"{s.take_id} (shows {s.seen})" for s in suspects[:4])
        more = f" and {len(suspects) - 4} more" if len(suspects) > 4 else ""
        fate = "excluded" if section.suspects.drop else "only listed"
        notes.append(f"takes that look mislabelled, {fate}: {names}{more}")
    return notes
