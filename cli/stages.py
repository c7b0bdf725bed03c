"""One command per stage."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path

import typer

from cli import demo, project
from cli.commands import JsonOption
from cli.options import (
    ITEM_TIMEOUT_S,
    DataOption,
    DatasetOption,
    EngineOption,
    ForceOption,
    GpusOption,
    LockOption,
    MemoryOption,
    ParamsOption,
    RetryOption,
    ShardOption,
    TimeoutOption,
    WorkersOption,
    make_options,
    make_run,
)
from pipeline.stages import SPECS, StageSpec


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for spec in SPECS:
        if spec.name == "demo":  # a stage with a subcommand: demo train
            demo.app.callback(invoke_without_command=True)(_stage_command(spec))
            app.add_typer(demo.app, name=spec.name)
        else:
            app.command(spec.name)(_stage_command(spec))


def _stage_command(stage: StageSpec) -> Callable[..., None]:
    def command(
        context: typer.Context,
        dataset: DatasetOption = "demo",
        params: ParamsOption = None,
        data: DataOption = Path("data"),
        engine: EngineOption = "processes",
        workers: WorkersOption = 0,
        shard: ShardOption = "1/1",
        force: ForceOption = False,
        retry_failed: RetryOption = False,
        item_timeout: TimeoutOption = ITEM_TIMEOUT_S,
        worker_memory: MemoryOption = 0.0,
        gpus_per_worker: GpusOption = 1.0,
        lock: LockOption = True,
        as_json: JsonOption = False,
    ) -> None:
        if context.invoked_subcommand is not None:
            return
        project.require(params)
        from cli import console, dvc_commit
        from pipeline.runtime.locks import Claim, hold

        options = make_options(
            engine, workers, shard, force, retry_failed,
            item_timeout=item_timeout, worker_memory=worker_memory,
            gpus_per_worker=gpus_per_worker,
        )  # fmt: skip
        began = time.monotonic()
        run = make_run(dataset, params, data, options)
        with hold(data / dataset, Claim.of(stage.name, options.shard), say=console.note):
            with console.waiting(f"{stage.name} {dataset}"):
                summary = importlib.import_module(stage.module).run(run)
            console.show_summary(summary, time.monotonic() - began, as_json=as_json)
            if lock and dvc_commit.is_project_run(data, params):
                with console.waiting("dvc.lock"):
                    problem = dvc_commit.commit_stages([stage.name], dataset)
                console.note(problem)

    command.__name__ = stage.name
    command.__doc__ = stage.purpose
    return command
