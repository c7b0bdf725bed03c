"""The options that commands share, and the run that they describe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.settings import load_params, require_build
from pipeline.errors import ParameterError

if TYPE_CHECKING:
    from pipeline.run import Options, Run

DatasetOption = Annotated[
    str, typer.Option("--dataset", "-d", help="A name under `datasets` in params.yaml.")
]
ParamsOption = Annotated[
    Path | None,
    typer.Option("--params", envvar="SPFEM_PARAMS", help="params.yaml, if not the one here."),
]
DataOption = Annotated[
    Path, typer.Option("--data", envvar="SPFEM_DATA", help="Folder of all outputs.")
]
EngineOption = Annotated[
    str, typer.Option("--engine", envvar="SPFEM_ENGINE", help="serial or processes.")
]
WorkersOption = Annotated[
    int,
    typer.Option("--workers", envvar="SPFEM_WORKERS", min=0, help="0: one a core."),
]
ShardOption = Annotated[
    str, typer.Option("--shard", metavar="I/N", help="Do the I-th of N parts (Slurm arrays).")
]
LevelOption = Annotated[
    int | None,
    typer.Option("--level", help="Level of the emotion's takes; else the highest there is."),
]
ViewOption = Annotated[
    str | None, typer.Option("--view", help="The camera; else front, or the first by name.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Redo what is up to date, too.")]
RetryOption = Annotated[
    bool, typer.Option("--retry-failed", help="Try failed items again; filtered ones stay.")
]

LockOption = Annotated[
    bool, typer.Option("--lock/--no-lock", help="Tell DVC: write the stage's state to dvc.lock.")
]


def make_run(dataset: str, path: Path | None, data: Path, options: Options | None = None) -> Run:
    """The dataset's run, with a bar for its progress."""
    params = load_params(path)
    from cli import console
    from pipeline.run import Options, Run

    params.dataset(dataset)
    return Run(dataset, params, data, options or Options(), console.Bar())


def make_options(engine: str, workers: int, shard: str, force: bool, retry_failed: bool) -> Options:
    """What a command's options mean.

    Raises
    ------
    ParameterError
        An engine that is none, or a part that is not I/N.
    """
    require_build()
    from pipeline.engine import ENGINES
    from pipeline.run import Options

    if engine not in ENGINES:
        raise ParameterError(f"--engine {engine}: is none of {', '.join(ENGINES)}")
    part, _, parts = shard.partition("/")
    if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise ParameterError(f"--shard {shard}: expected I/N with 1 <= I <= N, such as 2/8")
    count = workers or _cores()
    return Options(engine, count, (int(part), int(parts)), force, retry_failed)


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
