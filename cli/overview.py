"""The commands that look and run nothing: what a corpus holds, what each stage gave."""

from __future__ import annotations

from pathlib import Path

import typer

from cli.options import DataOption, DatasetOption, ParamsOption, make_run
from pipeline.stages import STAGES


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(inventory)
    app.command()(status)


def inventory(
    dataset: DatasetOption = "demo", params: ParamsOption = None, data: DataOption = Path("data")
) -> None:
    """Tell what a corpus holds and what is missing. Decodes nothing."""
    from cli import console
    from pipeline import corpora

    run = make_run(dataset, params, data)
    listing = corpora.list_takes(dataset, run.entry, Path(run.entry.root))
    for title, columns, rows in corpora.inventory(listing).tables():
        console.show_table(title, columns, rows)


def status(
    dataset: DatasetOption = "demo", params: ParamsOption = None, data: DataOption = Path("data")
) -> None:
    """Tell what each stage gave and where to look. Runs nothing."""
    from cli import console
    from pipeline.run import summaries

    run = make_run(dataset, params, data)
    rows, places = [], []
    for stage, found in summaries(run, STAGES).items():
        if found is None:
            rows.append([stage, "not run", "", "", ""])
            continue
        why = ", ".join(f"{reason} {n}" for reason, n in found["reasons"].items())
        counts = [f"{found['planned']} {found['grain']}s", f"{found['kept']}"]
        rows.append([stage, *counts, str(found["planned"] - found["kept"]), why])
        places += found["look"][:1]
    console.show_table(dataset, ["stage", "planned", "kept", "rejected", "why"], rows)
    for place in places:
        below = run.data / place
        console.out.print(f"look: {below if below.exists() else place}", markup=False)
