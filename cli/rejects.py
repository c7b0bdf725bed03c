"""`spfem-data rejects`: why a take or pair was not used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import console
from cli.commands import JsonOption
from cli.options import DataOption, DatasetOption, ParamsOption, check_dataset


def rejects(
    dataset: DatasetOption = "demo",
    stage: Annotated[str, typer.Option("--stage", help="Only this stage.")] = "",
    item: Annotated[
        str,
        typer.Option(
            "--item", metavar="PATTERN", help="Part of an id, or a pattern with *, ?, []."
        ),
    ] = "",
    reason: Annotated[str, typer.Option("--reason", help="Only this reason.")] = "",
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    as_json: JsonOption = False,
) -> None:
    """List what was not used: item, stage, reason, detail, and the setting that decides it."""
    check_dataset(dataset, params, data)
    from pipeline.tools.rejects import find_rejects

    rows = find_rejects(data / dataset, stage=stage, item=item, reason=reason)
    if as_json:
        console.show_json({"dataset": dataset, "rejects": [vars(row) for row in rows]})
        return
    columns = ["item", "stage", "reason", "setting", "detail"]
    if rows:
        table = [[getattr(row, name) for name in columns] for row in rows]
        console.show_table(f"{dataset}: {len(rows)} rejected", columns, table)
    else:
        console.say(f"{dataset}: nothing rejected matches")
