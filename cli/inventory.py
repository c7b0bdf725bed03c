"""Commands that only read: what a corpus contains, what each stage produced."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import console
from cli.commands import JsonOption
from cli.options import DataOption, DatasetOption, ParamsOption, check_dataset, make_run
from pipeline.stages import STAGES

if TYPE_CHECKING:
    from pipeline.corpora import Inventory
    from pipeline.corpora.inventory_table import Table


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
