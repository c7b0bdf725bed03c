"""One command a stage."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path

import typer

from cli import demo
from cli.options import (
    DataOption,
    DatasetOption,
    EngineOption,
    ForceOption,
    LockOption,
    ParamsOption,
    RetryOption,
    ShardOption,
    WorkersOption,
    make_options,
    make_run,
)
from pipeline.stages import PURPOSE, STAGES


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for name in STAGES:
        if name == "demo":  # a stage that has a command below it: demo train
            demo.app.callback(invoke_without_command=True)(_stage_command(name))
            app.add_typer(demo.app, name=name)
        else:
            app.command(name)(_stage_command(name))


def _stage_command(stage: str) -> Callable[..., None]:
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
        lock: LockOption = True,
    ) -> None:
        if context.invoked_subcommand is not None:
            return
        from cli import console, seal

        options = make_options(engine, workers, shard, force, retry_failed)
        began = time.monotonic()
        summary = importlib.import_module(f"pipeline.stages.{stage}").run(
            make_run(dataset, params, data, options)
        )
        console.show_summary(summary, time.monotonic() - began)
        if lock and seal.may_seal(data, params):
            console.note(seal.seal(stage, dataset))

    command.__name__ = stage
    command.__doc__ = PURPOSE[stage]
    return command
