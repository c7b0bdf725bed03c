"""The sheets that the report is expected to draw while stages before it have yet to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from pipeline.errors import PipelineError
from pipeline.records import Clip, Pair, PosedPair, Rejected
from pipeline.runtime.run import Run, Unit
from pipeline.stages.report import stage as report
from pipeline.stages.report.accuracy import PairError
from pipeline.stages.report.choice import choose
from pipeline.stages.report.clear import KINDS, Clear, gather_clear
from pipeline.stages.report.clear_page import SHEETS
from pipeline.stages.report.coverage import takes_of
from pipeline.stages.report.families import gather_made
from pipeline.stages.report.inputs import Inputs, gather, rejects_of
from pipeline.stages.report.measure import pair_errors
from pipeline.stages.report.truth import read_truth
from pipeline.tools.plan.forecast_run import EXPECTED, Foreseen


def expected_sheets(run: Foreseen) -> list[Unit]:
    """The sheets of what is expected of all stages, each with its key.

    A sheet of something new has a key that nobody has; what will be rejected of it is not known.
    """
    clear = gather_clear(run)
    inputs = gather(run, ())
    inputs = replace(
        inputs, posed=_with_residuals(inputs.posed), rejects=_rejects(run, inputs.clips)
    )
    section = run.params.report
    choice = choose(inputs.pairs, inputs.posed, section.pairs, section.seed)
    errors = _errors(run, inputs, choice.all)
    units = report.sheets(run, inputs, choice, clear, gather_made(run), errors)
    moved = _moved(clear)
    return [*(unit for unit in units if unit.name not in moved), *moved.values()]


def _with_residuals(posed: Mapping[str, PosedPair]) -> dict[str, PosedPair]:
    """With the median of the others for pairs that are still to be posed."""
    known = [row.residual_after for row in posed.values() if row.residual_after is not None]
    usual = median(known) if known else None
    return {
        name: replace(row, residual_after=usual) if row.poses_sha256 == EXPECTED else row
        for name, row in posed.items()
    }


def _rejects(run: Foreseen, clips: Mapping[str, Clip]) -> tuple[Rejected, ...]:
    """Those that lie there, but of takes that will be gone."""
    before = Run(run.dataset, run.params, run.data).find("extract", "clips", Clip) or []
    gone = {clip.take_id for clip in before} - set(clips)
    rows = rejects_of(run, report.REPORTED)
    return tuple(row for row in rows if gone.isdisjoint(takes_of(row.item)))


def _errors(run: Foreseen, inputs: Inputs, shown: Sequence[Pair]) -> dict[str, PairError]:
    """True errors of the pairs to be shown whose takes lie there, where there is truth."""
    if run.entry.corpus != "demo":
        return {}
    there = {name: clip for name, clip in inputs.clips.items() if clip.frames_sha256 != EXPECTED}
    pairs = [pair for pair in shown if {pair.take_a, pair.take_b} <= set(there)]
    clips = {name: there[name] for pair in pairs for name in (pair.take_a, pair.take_b)}
    try:
        truth = read_truth(Path(run.entry.root), clips.values())
    except PipelineError:  # it has yet to be made again
        return {}
    return pair_errors(inputs, truth, pairs, clips)


def _moved(clear: Clear) -> dict[str, Unit]:
    """The sheets of emotions of which takes wait for their scores."""
    waiting = {take.emotion for take in clear.takes.values() if take.clear_sha256 == EXPECTED}
    names = [f"{SHEETS}{emotion}-{kind}" for emotion in sorted(waiting) for kind in KINDS]
    return {name: Unit(name, EXPECTED, None, effort=report.effort_of(name)) for name in names}
