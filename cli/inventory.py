"""Commands that only read: what a corpus contains, what stages produced, what a run would do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    check_dataset,
    make_options,
    make_run,
)
from pipeline.errors import ParameterError
from pipeline.stages import STAGES

if TYPE_CHECKING:
    from pipeline.corpora import Inventory
    from pipeline.corpora.inventory_table import Table
    from pipeline.tools.plan.dataset_plan import DatasetPlan, StagePlan


def inventory(
    dataset: DatasetOption = "demo",
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    details: Annotated[
        bool, typer.Option("--details", help="One row for each speaker, level, view and gap.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List what a corpus contains, what is missing, and the possible pairs. Decodes nothing."""
    from pipeline import corpora
    from pipeline.corpora import inventory_table
    from pipeline.corpora.possible_pairs import possible_pairs

    run = make_run(dataset, params, data)
    rule = run.params.split_rule(dataset)
    with console.waiting(f"inventory {dataset}"):
        listing = corpora.list_takes(dataset, run.entry, Path(run.entry.root), run.forgotten)
        content = corpora.inventory(listing)
        pairs = possible_pairs(listing.takes, rule, run.params.align)
    if as_json:
        console.show_json(
            {
                "dataset": dataset, "root": run.entry.root, **inventory_table.as_json(content),
                "pairs_possible": pairs.count, "pairs_missing": list(pairs.reasons),
            }
        )  # fmt: skip
        return
    for title, columns, rows in content.tables() if details else _overview(content):
        console.show_table(title, columns, rows)
    console.say(str(pairs))


def _overview(content: Inventory) -> list[Table]:
    """The tables, by level if the terminal is wide enough."""
    from pipeline.corpora import inventory_table

    tables, room = inventory_table.overview(content), console.room()
    if room is not None and tables and console.table_width(*tables[0][1:]) > room:
        return inventory_table.overview(content, by_level=False)
    return tables


def status(
    dataset: DatasetOption = "demo",
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    as_json: JsonOption = False,
) -> None:
    """Show what each stage produced, and where. Runs nothing."""
    check_dataset(dataset, params, data)

    summaries = {stage: _summary(data / dataset, stage) for stage in STAGES}
    if as_json:
        console.show_json({"dataset": dataset, "stages": summaries})
        return
    rows = [_status_row(stage, summary) for stage, summary in summaries.items()]
    console.show_table(dataset, ["stage", "planned", "kept", "rejected", "unit", "why"], rows)
    for summary in summaries.values():
        if summary and summary.get("planned") and not summary["unfinished"]:
            for place in summary["look"][:1]:
                below = data / place
                console.say(f"see: {below if below.exists() else place}")
    _show_weights(summaries)


def _show_weights(summaries: Mapping[str, Mapping[str, Any] | None]) -> None:
    """What weights would add where a stage has none, with the lines to paste."""
    from cli import console
    from pipeline.models.slots import GUIDE, SLOTS

    idle = {
        stage for stage, summary in summaries.items() if summary and not summary.get("planned", 1)
    }
    lacking = [slot for slot in SLOTS if slot.stage in idle]
    if not lacking:
        return
    console.say(f"weights that would add more; {GUIDE} has the steps:")
    for slot in lacking:
        console.say("\n".join(slot.lines()))


def _summary(folder: Path, stage: str) -> dict[str, Any] | None:
    """A stage's summary, with whether a later run of it was stopped; None if it never ran."""
    from pipeline.runtime.summary_file import read_summary

    summary = read_summary(folder / stage)
    unfinished = (folder / ".local" / f"unfinished-{stage}").exists()
    return {**(summary or {}), "unfinished": unfinished} if summary or unfinished else None


def _status_row(stage: str, summary: dict[str, Any] | None) -> list[str]:
    if summary is None:
        return [stage, "", "", "", "", "not run"]
    if summary["unfinished"]:  # its counts are those of an earlier run
        return [stage, "", "", "", "", "stopped before its end; run it again to resume"]
    why = ", ".join(f"{reason} {n}" for reason, n in summary["reasons"].items())
    if not summary["planned"]:
        why = next(iter(summary["notes"]), why)
    counts = [str(summary[name]) for name in ("planned", "kept")]
    rejected = summary["planned"] - summary["kept"]
    return [stage, *counts, str(rejected), f"{summary['grain']}s", why]


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
    rates = [f"rates {source}: {', '.join(names)}" for source, names in stages.items()]
    return [*lines, *skipped, *rates]


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
