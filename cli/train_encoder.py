"""`spfem-data train-encoder`: an encoder for a generator that one has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import (
    DataOption,
    DatasetOption,
    EngineOption,
    ParamsOption,
    WorkersOption,
    make_options,
    make_run,
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("train-encoder")(train_encoder)


def train_encoder(
    out: Annotated[Path, typer.Option("--out", help="Folder of this training.")],
    dataset: DatasetOption = "demo",
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    engine: EngineOption = "processes",
    workers: WorkersOption = 0,
) -> None:
    """Train a W+ encoder for a frozen generator on a dataset's faces; goes on where it stopped."""
    options = make_options(engine, workers, "1/1", force=False, retry_failed=False)
    run = make_run(dataset, params, data, options)
    from cli import console
    from pipeline.tools.train_encoder.on_dataset import train_on_dataset

    trained = train_on_dataset(run, out)
    console.out.print(
        f"{trained.n_pictures} pictures, {run.params.train_encoder.steps} steps: {trained.path}\n"
        f"losses: {out / 'losses.csv'}, pictures: {out / 'sheet.png'}\n"
        f"to use it, name it under models: path {trained.path}, sha256 {trained.sha256}",
        markup=False,
    )
