"""The command that tells what a run would do and cost, and does none of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands import JsonOption
from cli.options import (
    DataOption,
    DatasetOption,
    EngineOption,
    ForceOption,
    ParamsOption,
    RetryOption,
    WorkersOption,
    make_options,
    make_run,
)
from pipeline.errors import ParameterError
from pipeline.stages import STAGES

if TYPE_CHECKING:
    from pipeline.tools.plan.dataset_plan import StagePlan, WholePlan

_COLUMNS = ("stage", "run", "reused", "removed", "time", "writes", "disk after", "memory", "why")
_UNTOLD = "not to be told before the stages before it have run"
_SURE = {"exact": "", "expected": "~", "at most": "<="}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(plan)


def plan(
    stage: Annotated[
        str, typer.Argument(help="The last stage to plan; without it, all of them.")
    ] = STAGES[-1],
    dataset: DatasetOption = "demo",
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    engine: EngineOption = "processes",
    workers: WorkersOption = 0,
    force: ForceOption = False,
    retry_failed: RetryOption = False,
    trial: Annotated[
        int,
        typer.Option(
            min=0, metavar="TAKES",
            help="Takes extracted for their price where extract has not run here. 0: none.",
        ),
    ] = 3,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Tell what would run, what is reused and removed and why, how long, how much. Runs nothing."""
    from cli import console

    if stage not in STAGES:
        raise ParameterError(f"plan {stage}: is no stage; they are: {', '.join(STAGES)}")
    options = make_options(engine, workers, "1/1", force, retry_failed)
    run = make_run(dataset, params, data, options)
    from pipeline.tools.plan.dataset_plan import make_plan

    with console.waiting(f"plan {dataset}"):
        found = make_plan(run, STAGES[: STAGES.index(stage) + 1], trial)
    if as_json:
        console.show_json(found.told())
        return
    shown = [one for one in found.stages if one.fates.stage != "demo" or one.fates.units]
    console.show_table(f"plan {dataset}", _COLUMNS, [_row(one) for one in shown])
    for line in _notes(found):
        console.say(line)


def _row(one: StagePlan) -> list[str]:
    fates, price = one.fates, one.price
    if price is None:
        return [fates.stage, "?", *[""] * 6, _UNTOLD]
    sure = _SURE[fates.certainty] if fates.redo else ""
    limit = sure if fates.certainty == "at most" else ""
    costs = [f"{limit}{length(price.seconds)}", size(price.written_bytes), size(price.disk_bytes)]
    costs.append(f"{price.memory_mb:.0f} MB")
    why = fates.idle or ", ".join(f"{reason} {n}" for reason, n in fates.why().items())
    counts = [f"{sure}{len(fates.redo)}", str(len(fates.receipts)), str(len(fates.removed))]
    if fates.is_done:
        return [fates.stage, *counts, "", "", size(price.now_bytes), "", why]
    return [fates.stage, *counts, *costs, why]


def _notes(found: WholePlan) -> list[str]:
    lines = []
    probed = found.seen.probed
    if probed and (probed.clips or probed.n_unreadable):
        n = len(probed.clips) + probed.n_unreadable
        lines.append(
            f"to extract: {n} takes of {size(probed.source_bytes)}, about "
            f"{length(probed.duration_s)} of sound ({probed.n_probed} containers probed, "
            f"{probed.n_known} known from before, {probed.n_unreadable} give nothing)"
        )
    pairs = found.seen.n_pairs
    if pairs is not None:
        lines.append(f"clip pairs: {pairs} expected")
    if found.open:
        grows = "grows" if found.growth_bytes >= 0 else "shrinks"
        time = _between(found.least_seconds, found.seconds)
        lines.append(
            f"all: {time}, {size(found.written_bytes)} written; the data folder {grows} by "
            f"{size(abs(found.growth_bytes))}; memory of workers up to "
            f"{found.memory_mb:.0f} MB"
        )
    else:
        lines.append("nothing to do")
    for source, stages in _sources(found).items():
        lines.append(f"rates of {', '.join(stages)}: {source}")
    if any(one.fates.certainty in ("expected", "at most") and one.fates.redo for one in found.open):
        lines.append(
            "~: expected of takes that are new or changed; <=: at most, since what is redone "
            "before may give the same again"
        )
    return lines


def _sources(found: WholePlan) -> dict[str, list[str]]:
    """The stages that have anything to do, by whose rates they are priced."""
    told: dict[str, list[str]] = {}
    for one in found.open:
        if one.price is not None and one.fates.redo:
            told.setdefault(one.price.source, []).append(one.fates.stage)
    return told


def _between(least_s: float, most_s: float) -> str:
    most = length(most_s)
    return most if length(least_s) == most else f"between {length(least_s)} and {most}"


def length(seconds: float) -> str:
    """Seconds in the unit that one would say.

    >>> [length(s) for s in (0.4, 75, 4000, 200000)]
    ['0.4 s', '1.2 min', '1.1 h', '56 h']
    """
    for limit, unit_s, unit in ((60, 1, "s"), (3600, 60, "min"), (float("inf"), 3600, "h")):
        if seconds < limit:
            value = seconds / unit_s
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
    raise AssertionError(seconds)


def size(n_bytes: int) -> str:
    """Bytes in the unit that one would say.

    >>> [size(n) for n in (0, 5300, 2_500_000, 410_000_000_000)]
    ['0 kB', '5.3 kB', '2.5 MB', '410 GB']
    """
    value, unit = n_bytes / 1e3, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1e3, larger
    return f"{value:.0f} {unit}" if value >= 10 or value == 0 else f"{value:.1f} {unit}"
