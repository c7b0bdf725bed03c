"""The commands that look and run nothing: what a corpus holds, what each stage gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands import JsonOption
from cli.options import DataOption, DatasetOption, ParamsOption, make_run
from pipeline.stages import STAGES

if TYPE_CHECKING:
    from pipeline.corpora import Inventory
    from pipeline.corpora.inventory_table import Table


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(inventory)
    app.command()(status)


def inventory(
    dataset: DatasetOption = "demo",
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    details: Annotated[
        bool, typer.Option("--details", help="Every speaker, level, view and hole in its own row.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell what a corpus holds and what is missing. Decodes nothing."""
    from cli import console
    from pipeline import corpora
    from pipeline.corpora import inventory_table

    run = make_run(dataset, params, data)
    with console.waiting(f"inventory {dataset}"):
        listing = corpora.list_takes(dataset, run.entry, Path(run.entry.root), run.forgotten)
        found = corpora.inventory(listing)
    if as_json:
        console.show_json(
            {"dataset": dataset, "root": run.entry.root, **inventory_table.as_json(found)}
        )
        return
    for title, columns, rows in found.tables() if details else _overview(found):
        console.show_table(title, columns, rows)


def _overview(found: Inventory) -> list[Table]:
    """By levels where there is room for it."""
    from cli import console
    from pipeline.corpora import inventory_table

    tables, room = inventory_table.overview(found), console.room()
    if room is not None and tables and console.table_width(*tables[0][1:]) > room:
        return inventory_table.overview(found, by_level=False)
    return tables


def status(
    dataset: DatasetOption = "demo",
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    as_json: JsonOption = False,
) -> None:
    """Tell what each stage gave and where to look. Runs nothing."""
    from cli import console
    from pipeline.runtime.summaries import summaries

    run = make_run(dataset, params, data)
    found = summaries(run, STAGES)
    if as_json:
        console.show_json({"dataset": dataset, "stages": found})
        return
    rows = [_status_row(stage, summary) for stage, summary in found.items()]
    console.show_table(dataset, ["stage", "planned", "kept", "rejected", "unit", "why"], rows)
    for summary in found.values():
        for place in (summary or {"look": [], "planned": 0})["look"][:1]:
            below = run.data / place
            if summary and summary["planned"]:
                console.say(f"look: {below if below.exists() else place}")


def _status_row(stage: str, found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return [stage, "", "", "", "", "not run"]
    why = ", ".join(f"{reason} {n}" for reason, n in found["reasons"].items())
    if not found["planned"]:
        why = next(iter(found["notes"]), why)
    counts = [str(found[name]) for name in ("planned", "kept")]
    rejected = found["planned"] - found["kept"]
    return [stage, *counts, str(rejected), f"{found['grain']}s", why]
