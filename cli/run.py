"""`spfem-data run`: the stages of a dataset in order, in one process."""

from __future__ import annotations

import importlib
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import project
from cli.commands import JsonOption
from cli.options import (
    ITEM_TIMEOUT_S,
    DataOption,
    DatasetOption,
    EngineOption,
    GpusOption,
    LockOption,
    MemoryOption,
    ParamsOption,
    RetryOption,
    TimeoutOption,
    WorkersOption,
    make_options,
    make_run,
)
from pipeline.errors import BusyError, ParameterError, meant
from pipeline.stages import STAGES, module_of

if TYPE_CHECKING:
    from pipeline.runtime.run import Run
    from pipeline.runtime.summaries import Summary


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(run)


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
    summaries: list[dict[str, Any]] = []
    try:
        for stage in _stages(one, to):
            summary, seconds = _run_stage(one, stage)
            summaries.append(_show(summary, seconds, as_json=as_json))
    finally:
        _commit(one, [each["stage"] for each in summaries], params, lock=lock)
    if as_json:
        from cli import console

        console.show_json({"dataset": dataset, "stages": summaries})


def _stages(run: Run, last: str) -> tuple[str, ...]:
    """The stages up to `last`. Only a demo corpus is generated."""
    if last not in STAGES:
        raise ParameterError(
            f"--to {last}: not a stage; the stages are {', '.join(STAGES)}" + meant(last, STAGES)
        )
    first = 0 if run.entry.corpus == STAGES[0] else 1
    return STAGES[first : STAGES.index(last) + 1]


def _run_stage(run: Run, stage: str) -> tuple[Summary, float]:
    """The stage's summary and its wall time in seconds; holds the stage's own lock."""
    from cli import console
    from pipeline.runtime.locks import Claim, hold

    began = time.monotonic()
    with (
        hold(run.data / run.dataset, Claim.of(stage), say=console.note),
        console.waiting(f"{stage} {run.dataset}"),
    ):
        module = importlib.import_module(module_of(stage))
        summary = module.run(replace(run, began_s=time.perf_counter()))
    return summary, time.monotonic() - began


def _show(summary: Summary, seconds: float, *, as_json: bool) -> dict[str, Any]:
    """Print the summary, on one line if nothing was redone; return it as JSON."""
    from cli import console

    if not as_json:
        if summary.done or summary.removed:
            console.show_summary(summary, seconds)
        else:
            console.say(
                f"{summary.stage} {summary.dataset}: up to date, {summary.kept} of "
                f"{summary.planned} {summary.grain}s kept, {seconds:.1f} s"
            )
    return console.summary_json(summary, seconds)


def _commit(run: Run, stages: list[str], params: Path | None, *, lock: bool) -> None:
    """Record the finished stages in dvc.lock at once, under their locks."""
    from cli import console, dvc_commit
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
