"""Options shared by several commands, params.yaml, and the run that they describe."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console, project
from pipeline.errors import MissingExtraError, ParameterError, meant

if TYPE_CHECKING:
    from pipeline.params import Params
    from pipeline.runtime.run import Options, Run


def _datasets(incomplete: str) -> list[str]:
    """For shell completion: the datasets of the project's params.yaml."""
    root = project.find_root(Path.cwd()) or Path()
    file = root / os.environ.get("SPFEM_PARAMS", project.FILE)
    if not file.is_file():
        return []
    from pipeline.tools.init import entries
    from pipeline.yaml_files import read_text

    try:
        return [name for name in entries(read_text(file)) if name.startswith(incomplete)]
    except ParameterError:  # the command itself reports it
        return []


DatasetOption = Annotated[
    str,
    typer.Option(
        "--dataset", "-d", help="A name under `datasets` in params.yaml.", autocompletion=_datasets
    ),
]
ParamsOption = Annotated[
    Path | None,
    typer.Option(
        "--params",
        envvar="SPFEM_PARAMS",
        help="The params.yaml to use; by default the one here or above.",
    ),
]
DataOption = Annotated[
    Path, typer.Option("--data", envvar="SPFEM_DATA", help="Folder of all outputs.")
]
EngineOption = Annotated[
    str, typer.Option("--engine", envvar="SPFEM_ENGINE", help="serial, processes or ray.")
]
WorkersOption = Annotated[
    int,
    typer.Option(
        "--workers",
        envvar="SPFEM_WORKERS",
        min=0,
        help="Processes; 0: one per core (with Ray: of all nodes).",
    ),
]
GpusOption = Annotated[
    float,
    typer.Option(
        "--gpus-per-worker", envvar="SPFEM_GPUS_PER_WORKER", metavar="GPUS",
        help="For stages that run networks on GPUs; 0.5: two workers share one.",
    ),
]  # fmt: skip
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--item-timeout", envvar="SPFEM_ITEM_TIMEOUT", metavar="SECONDS", min=0,
        help="Stop an item that takes longer; it counts as failed. 0: no limit.",
    ),
]  # fmt: skip
MemoryOption = Annotated[
    float,
    typer.Option(
        "--worker-memory", envvar="SPFEM_WORKER_MEMORY", metavar="GB", min=0,
        help="Stop an item whose worker uses more; it counts as failed. 0: no limit.",
    ),
]  # fmt: skip
ShardOption = Annotated[
    str, typer.Option("--shard", metavar="I/N", help="Process part I of N (Slurm arrays).")
]
LevelOption = Annotated[
    int | None,
    typer.Option("--level", help="Level of the emotional takes; by default the highest available."),
]
ViewOption = Annotated[
    str | None, typer.Option("--view", help="The camera; by default front, else the first by name.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Redo items that are up to date, too.")]
RetryOption = Annotated[
    bool, typer.Option("--retry-failed", help="Retry failed items; filtered ones stay rejected.")
]

ITEM_TIMEOUT_S = 3600.0
"""An item that takes longer hangs: a typical take needs seconds, one of 2 h less than this."""
LockOption = Annotated[
    bool, typer.Option("--lock/--no-lock", help="Record the result in dvc.lock.")
]


def require_build() -> None:
    """Raise `MissingExtraError` unless the extra `build` is installed."""
    for library in ("pydantic", "ruamel.yaml", "av", "librosa", "dtw", "mediapipe"):
        try:
            spec = importlib.util.find_spec(library)
        except ModuleNotFoundError:
            spec = None
        if spec is None:
            raise MissingExtraError(library, "build")


def load_params(path: Path | None) -> Params:
    """The named params.yaml, else the one here, else the package's defaults, with a note."""
    require_build()
    from pipeline import params
    from pipeline.runtime import numerics

    here = Path("params.yaml")
    if path is None and not here.is_file():
        console.note("no params.yaml here or in a folder above: using the package's defaults")
    loaded = params.load(path or (here if here.is_file() else None))
    numerics.insist(loaded.numerics)
    return loaded


def check_dataset(dataset: str, path: Path | None, data: Path) -> None:
    """Refuse a dataset that has no outputs and is not in params.yaml. Reads no other section.

    Raises
    ------
    ParameterError
        If params.yaml lists no such dataset, or is not valid.
    """
    from pipeline.yaml_files import read_text, section_keys

    file = path or project.FILE
    if (data / dataset).is_dir():
        return
    if not file.is_file() or dataset not in section_keys(read_text(file), "datasets"):
        load_params(path).dataset(dataset)


def make_run(dataset: str, path: Path | None, data: Path, options: Options | None = None) -> Run:
    """The run of a dataset, with a progress bar."""
    params = load_params(path)
    from pipeline.runtime.run import Options, Run

    params.dataset(dataset)
    return Run(dataset, params, data, options or Options(), console.bar)


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
    """The run options that the command-line options describe.

    Raises
    ------
    ParameterError
        If the engine is unknown, the part is not I/N, or the number of GPUs is invalid.
    """
    require_build()
    from pipeline.runtime.executor import ENGINES, Limits
    from pipeline.runtime.machine import cores
    from pipeline.runtime.run import Options

    if engine not in ENGINES:
        raise ParameterError(
            f"--engine {engine}: expected one of {', '.join(ENGINES)}" + meant(engine, ENGINES)
        )
    part, _, parts = shard.partition("/")
    numeric = all(text.isdecimal() and len(text) < 10 for text in (part, parts))
    if not (numeric and 1 <= int(part) <= int(parts)):
        raise ParameterError(f"--shard {shard}: expected I/N with 1 <= I <= N, such as 2/8")
    count = workers or (0 if engine == "ray" else cores())  # 0: as many as fit in Ray
    limits = Limits(item_timeout or None, worker_memory or None)
    return Options(
        engine, count, (int(part), int(parts)), force, retry_failed, limits,
        _whole_or_fraction(gpus_per_worker),
    )  # fmt: skip


def _whole_or_fraction(gpus: float) -> float:
    if not (gpus >= 1 and gpus.is_integer()) and not 0 < gpus < 1:
        raise ParameterError(
            f"--gpus-per-worker {gpus:g}: expected a whole number, or a fraction such as 0.5"
        )
    return gpus
