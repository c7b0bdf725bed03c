"""`spfem-data show-pair`: draw one pair as one image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import project
from cli.options import DataOption, ParamsOption, make_run
from cli.settings import load_params


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("show-pair")(show_pair)


def show_pair(
    pair: Annotated[str, typer.Argument(metavar="ID", help="A pair_id of the table align/pairs.")],
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", help="By default the dataset that has the pair.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The PNG to write; by default ID.png here.")
    ] = None,
    params: ParamsOption = None,
    data: DataOption = Path("data"),
) -> None:
    """Draw one pair: film strips of both takes, confidence, mouths, audio, time map, numbers."""
    from pipeline.runtime.store import write_bytes
    from pipeline.tools.show_pair.one_pair import draw_pair, find_dataset

    name = dataset or find_dataset(data, load_params(params).datasets, pair)
    image = draw_pair(make_run(name, params, data), pair)
    target = out or project.typed(Path(f"{pair}.png"))
    write_bytes(target, image)
    typer.echo(str(target))
