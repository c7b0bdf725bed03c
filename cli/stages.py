"""The stages as commands: one each, and `run` for all of them in order, in one process."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import console, dvc_commit, project
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
from pipeline.errors import BusyError, ParameterError, meant
from pipeline.stages import SPECS, STAGES, StageSpec, module_of

if TYPE_CHECKING:
    from pipeline.runtime.run import Run
    from pipeline.runtime.summaries import Summary


def register(app: typer.Typer) -> None:
    """Add the commands of the stages to the application."""
    for spec in SPECS:
        app.command(spec.name)(_stage_command(spec))


def _stage_command(stage: StageSpec) -> Callable[..., None]:
    def command(
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
        project.require(params)
        options = make_options(
            engine, workers, shard, force, retry_failed,
            item_timeout=item_timeout, worker_memory=worker_memory,
            gpus_per_worker=gpus_per_worker,
        )  # fmt: skip
        run = make_run(dataset, params, data, options)
        from pipeline.runtime.locks import Claim, hold

        with hold(data / dataset, Claim.of(stage.name, options.shard), say=console.note):
            summary, seconds = run_stage(run, stage.name)
            console.show_summary(summary, seconds, as_json=as_json)
            if lock and dvc_commit.is_project_run(data, params):
                with console.waiting("dvc.lock"):
                    problem = dvc_commit.commit_stages([stage.name], dataset)
                console.note(problem)

    command.__name__ = stage.name
    command.__doc__ = stage.purpose
    return command


def run_stage(run: Run, stage: str) -> tuple[Summary, float]:
    """Run a stage, which the caller has locked; its summary and its wall time in seconds."""
    began_s = time.monotonic()
    with console.waiting(f"{stage} {run.dataset}"):
        module = importlib.import_module(module_of(stage))
        summary = module.run(replace(run, began_s=time.perf_counter()))
    return summary, time.monotonic() - began_s


def run(
    dataset: DatasetOption = "demo",
    to: Annotated[str, typer.Option("--to", metavar="STAGE", help="The last stage to run.")] = (
        STAGES[-1]
    ),
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    engine: EngineOption = "processes",
    workers: WorkersOption = 0,
    retry_failed: RetryOption = False,
    item_timeout: TimeoutOption = ITEM_TIMEOUT_S,
    worker_memory: MemoryOption = 0.0,
    gpus_per_worker: GpusOption = 1.0,
    lock: LockOption = True,
    as_json: JsonOption = False,
) -> None:
    """Run the stages in order, up to the last or --to. Redoes only what changed."""
    project.require(params)
    options = make_options(
        engine, workers, "1/1", force=False, retry_failed=retry_failed,
        item_timeout=item_timeout, worker_memory=worker_memory, gpus_per_worker=gpus_per_worker,
    )  # fmt: skip
    one = make_run(dataset, params, data, options)
    from pipeline.runtime.locks import Claim, hold

    summaries: list[dict[str, Any]] = []
    try:
        for stage in _stages(one, to):
            with hold(one.data / dataset, Claim.of(stage), say=console.note):
                summary, seconds = run_stage(one, stage)
            summaries.append(_show(summary, seconds, as_json=as_json))
    finally:
        _commit(one, [each["stage"] for each in summaries], params, lock=lock)
    if as_json:
        console.show_json({"dataset": dataset, "stages": summaries})


def _stages(run: Run, last: str) -> tuple[str, ...]:
    """The stages up to `last`. Only a demo corpus is generated."""
    if last not in STAGES:
        raise ParameterError(
            f"--to {last}: not a stage; the stages are {', '.join(STAGES)}" + meant(last, STAGES)
        )
    first = 0 if run.entry.corpus == STAGES[0] else 1
    return STAGES[first : STAGES.index(last) + 1]


def _show(summary: Summary, seconds: float, *, as_json: bool) -> dict[str, Any]:
    """Print the summary, on one line if all was up to date; return it as JSON."""
    if not as_json:
        if summary.done or summary.removed or not summary.planned:  # idle: its notes say why
            console.show_summary(summary, seconds)
        else:
            console.say(
                f"{summary.stage} {summary.dataset}: up to date, {summary.kept} of "
                f"{summary.planned} {summary.grain}s kept, {seconds:.1f} s"
            )
    return console.summary_json(summary, seconds)


def _commit(run: Run, stages: list[str], params: Path | None, *, lock: bool) -> None:
    """Record the finished stages in dvc.lock at once, under their locks."""
    from pipeline.runtime.locks import Claim, hold

    if not stages or not lock or not dvc_commit.is_project_run(run.data, params):
        return
    try:
        with (
            hold(run.data / run.dataset, Claim(tuple(stages)), say=console.note),
            console.waiting("dvc.lock"),
        ):
            problem = dvc_commit.commit_stages(stages, run.dataset)
    except BusyError as error:  # the stages themselves are done
        problem = f"dvc.lock was not updated: {error}"
    console.note(problem)
