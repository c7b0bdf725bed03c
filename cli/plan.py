"""`spfem-data plan`: what a run would do and roughly cost, without running it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console
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
    from pipeline.tools.plan.dataset_plan import DatasetPlan, StagePlan

_COLUMNS = ("stage", "run", "reused", "removed", "time", "writes", "why")


def plan(
    stage: Annotated[
        str, typer.Argument(help="The last stage to plan; default: all stages.")
    ] = STAGES[-1],
    dataset: DatasetOption = "demo",
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    engine: EngineOption = "processes",
    workers: WorkersOption = 0,
    force: ForceOption = False,
    retry_failed: RetryOption = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """List what would run, be reused and be removed, and why; estimate time and disk space."""
    if stage not in STAGES:
        raise ParameterError(f"plan {stage}: not a stage; the stages are: {', '.join(STAGES)}")
    options = make_options(engine, workers, "1/1", force, retry_failed)
    run = make_run(dataset, params, data, options)
    from pipeline.tools.plan.dataset_plan import make_plan

    with console.waiting(f"plan {dataset}"):
        planned = make_plan(run, STAGES[: STAGES.index(stage) + 1])
    if as_json:
        console.show_json(planned.to_dict())
        return
    rows = [_row(one) for one in planned.stages if one.stage != "demo" or not one.idle]
    console.show_table(f"plan {dataset}", _COLUMNS, rows)
    for line in _notes(planned):
        console.say(line)


def _row(one: StagePlan) -> list[str]:
    if one.depends_on is not None:
        bounds = [f"<= {length(one.seconds)}", f"<= {size(one.n_bytes)}"]
        why = one.idle or f"depends on {one.depends_on}"
        return [one.stage, f"<= {one.at_most}", "", "", *(bounds if one.at_most else ["", ""]), why]
    status = one.status
    counts = [str(len(group)) for group in (status.run, status.reused, status.removed)]
    costs = [length(one.seconds), size(one.n_bytes)] if status.run else ["", ""]
    why = one.idle or ", ".join(f"{reason} {n}" for reason, n in one.reasons().items())
    return [one.stage, *counts, *costs, why]


def _notes(planned: DatasetPlan) -> list[str]:
    skipped = [note for one in planned.stages for note in one.notes]
    if not planned.pending:
        return [*skipped, "nothing to do"]
    least, most = planned.totals(with_bounds=False), planned.totals(with_bounds=True)
    lines = [
        f"total: {_between(length(least[0]), length(most[0]))}, "
        f"{_between(size(least[1]), size(most[1]))} written"
    ]
    stages: dict[str, list[str]] = {}
    for one in planned.stages:
        if one.rates_from:
            stages.setdefault(one.rates_from, []).append(one.stage)
    return (
        lines
        + skipped
        + [f"rates {source}: {', '.join(names)}" for source, names in stages.items()]
    )


def _between(least: str, most: str) -> str:
    return most if least == most else f"{least} to {most}"


def length(seconds: float) -> str:
    """Seconds as text, in a suitable unit.

    >>> [length(s) for s in (0.4, 75, 4000, 200000)]
    ['0.4 s', '1.2 min', '1.1 h', '56 h']
    """
    for limit, unit_s, unit in ((60, 1, "s"), (3600, 60, "min"), (float("inf"), 3600, "h")):
        if seconds < limit:
            value = seconds / unit_s
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
    raise AssertionError(seconds)


def size(n_bytes: int) -> str:
    """Bytes as text, in a suitable unit.

    >>> [size(n) for n in (0, 5300, 2_500_000, 410_000_000_000)]
    ['0 kB', '5.3 kB', '2.5 MB', '410 GB']
    """
    value, unit = n_bytes / 1e3, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1e3, larger
    return f"{value:.0f} {unit}" if value >= 10 or value == 0 else f"{value:.1f} {unit}"
