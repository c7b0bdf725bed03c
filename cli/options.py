"""The options that commands share, and the run that they describe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.settings import load_params, require_build
from pipeline.errors import ParameterError, meant

if TYPE_CHECKING:
    from pipeline.runtime.run import Options, Run


def _datasets(incomplete: str) -> list[str]:
    """For the shell's completion: the datasets of the params.yaml here."""
    file = Path(os.environ.get("SPFEM_PARAMS", "params.yaml"))
    if not file.is_file():
        return []
    from pipeline.tools.init import entries
    from pipeline.yaml_files import read_text

    try:
        return [name for name in entries(read_text(file)) if name.startswith(incomplete)]
    except ParameterError:  # nobody asked yet: the command will say it
        return []


DatasetOption = Annotated[
    str,
    typer.Option(
        "--dataset", "-d", help="A name under `datasets` in params.yaml.", autocompletion=_datasets
    ),
]
ParamsOption = Annotated[
    Path | None,
    typer.Option("--params", envvar="SPFEM_PARAMS", help="params.yaml, if not the one here."),
]
DataOption = Annotated[
    Path, typer.Option("--data", envvar="SPFEM_DATA", help="Folder of all outputs.")
]
EngineOption = Annotated[
    str, typer.Option("--engine", envvar="SPFEM_ENGINE", help="serial, processes or ray.")
]
WorkersOption = Annotated[
    int,
    typer.Option("--workers", envvar="SPFEM_WORKERS", min=0, help="0: one per available core."),
]
GpusOption = Annotated[
    float,
    typer.Option(
        "--gpus-per-worker", envvar="SPFEM_GPUS_PER_WORKER", metavar="GPUS",
        help="Where a network runs on GPUs; 0.5: two workers share one.",
    ),
]  # fmt: skip
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--item-timeout", envvar="SPFEM_ITEM_TIMEOUT", metavar="SECONDS", min=0,
        help="End an item that takes longer and go on; it counts as failed. 0: never.",
    ),
]  # fmt: skip
MemoryOption = Annotated[
    float,
    typer.Option(
        "--worker-memory", envvar="SPFEM_WORKER_MEMORY", metavar="GB", min=0,
        help="End an item whose worker grows beyond; it counts as failed. 0: no bound.",
    ),
]  # fmt: skip
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

ITEM_TIMEOUT_S = 3600.0
"""What is not done by then hangs: a corpus's take needs seconds, one of 2 h less than this."""
LockOption = Annotated[
    bool, typer.Option("--lock/--no-lock", help="Tell DVC: write the stage's state to dvc.lock.")
]


def make_run(dataset: str, path: Path | None, data: Path, options: Options | None = None) -> Run:
    """The dataset's run, with a bar for its progress."""
    params = load_params(path)
    from cli import console
    from pipeline.runtime.run import Options, Run

    params.dataset(dataset)
    return Run(dataset, params, data, options or Options(), console.Bar())


def make_options(
    engine: str,
    workers: int,
    shard: str,
    force: bool,
    retry_failed: bool,
    *,
    item_timeout: float = ITEM_TIMEOUT_S,
    worker_memory: float = 0.0,
    gpus_per_worker: float = 1.0,
) -> Options:
    """What a command's options mean.

    Raises
    ------
    ParameterError
        An engine that is none, a part that is not I/N, or a number of GPUs that cannot be.
    """
    require_build()
    from pipeline.runtime.executor import ENGINES, Limits
    from pipeline.runtime.machine import cores
    from pipeline.runtime.run import Options

    if engine not in ENGINES:
        raise ParameterError(
            f"--engine {engine}: is none of {', '.join(ENGINES)}" + meant(engine, ENGINES)
        )
    part, _, parts = shard.partition("/")
    sound = all(text.isdecimal() and len(text) < 10 for text in (part, parts))
    if not (sound and 1 <= int(part) <= int(parts)):
        raise ParameterError(f"--shard {shard}: expected I/N with 1 <= I <= N, such as 2/8")
    count = workers or (0 if engine == "ray" else cores())  # 0: as many as Ray has room for
    limits = Limits(item_timeout or None, worker_memory or None)
    return Options(
        engine, count, (int(part), int(parts)), force, retry_failed, limits,
        _whole_or_part(gpus_per_worker),
    )  # fmt: skip


def _whole_or_part(gpus: float) -> float:
    if not (gpus >= 1 and gpus.is_integer()) and not 0 < gpus < 1:
        raise ParameterError(
            f"--gpus-per-worker {gpus:g}: expected a whole number, or a part of one such as 0.5"
        )
    return gpus
