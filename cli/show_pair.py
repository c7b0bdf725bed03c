"""The command that draws one pair as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import DataOption, DatasetOption, ParamsOption, make_run


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("show-pair")(show_pair)


def show_pair(
    pair: Annotated[str, typer.Argument(metavar="ID", help="A pair_id of align's table pairs.")],
    dataset: DatasetOption = "demo",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The PNG to write; else ID.png here.")
    ] = None,
    params: ParamsOption = None,
    data: DataOption = Path("data"),
) -> None:
    """Draw one pair: film strips of both takes, confidence, mouths, sounds, the warp, numbers."""
    from pipeline.runtime.store import write_bytes
    from pipeline.tools.show_pair.one_pair import draw_pair

    picture = draw_pair(make_run(dataset, params, data), pair)
    target = out or Path(f"{pair}.png")
    write_bytes(target, picture)
    typer.echo(str(target))
