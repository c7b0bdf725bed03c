"""`spfem-data train-encoder`: train an encoder for an existing generator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import console, project
from cli.options import (
    DataOption,
    DatasetOption,
    EngineOption,
    ParamsOption,
    WorkersOption,
    make_options,
    make_run,
)


def train_encoder(
    out: Annotated[Path, typer.Option("--out", help="Folder for checkpoints and results.")],
    dataset: DatasetOption = "demo",
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    engine: EngineOption = "processes",
    workers: WorkersOption = 0,
) -> None:
    """Train a W+ encoder for a frozen generator on a dataset's faces. Resumes if stopped."""
    project.require(params)
    options = make_options(engine, workers, "1/1", force=False, retry_failed=False)
    run = make_run(dataset, params, data, options)
    from pipeline.tools.train_encoder.on_dataset import train_on_dataset

    trained = train_on_dataset(run, out)
    console.out.print(
        f"{trained.n_images} images, {run.params.train_encoder.steps} steps: {trained.path}\n"
        f"losses: {out / 'losses.csv'}, images: {out / 'sheet.png'}\n"
        f"to use it, add it under models: path {trained.path}, sha256 {trained.sha256}",
        markup=False,
    )
