"""The commands: one a stage, and the tools beside them. Heavy imports stay inside."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import demo, export, models, published
from cli.settings import load_params as _params
from cli.settings import require_build as _require_build
from pipeline import __version__
from pipeline.errors import ParameterError, PartDone, PipelineError
from pipeline.stages import PURPOSE, STAGES

if TYPE_CHECKING:
    from pipeline.run import Options, Run

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Make pairs of frames (one speaker, one instant of one sentence, two emotions), "
    "say how far each can be trusted, and pack them into Parquet shards.",
)

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


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Show the version."""
    if version:
        typer.echo(f"spfem-data {__version__}")
        raise typer.Exit


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

        options = _options(engine, workers, shard, force, retry_failed)
        began = time.monotonic()
        summary = importlib.import_module(f"pipeline.stages.{stage}").run(
            _run(dataset, params, data, options)
        )
        console.show_summary(summary, time.monotonic() - began)
        if lock and seal.may_seal(data, params):
            console.note(seal.seal(stage, dataset))

    command.__name__ = stage
    command.__doc__ = PURPOSE[stage]
    return command


for _name in STAGES:
    if _name == "demo":  # a stage that has a command below it: demo train
        demo.app.callback(invoke_without_command=True)(_stage_command(_name))
        app.add_typer(demo.app, name=_name)
    else:
        app.command(_name)(_stage_command(_name))


@app.command()
def inventory(
    dataset: DatasetOption = "demo", params: ParamsOption = None, data: DataOption = Path("data")
) -> None:
    """Tell what a corpus holds and what is missing. Decodes nothing."""
    from cli import console
    from pipeline import corpora

    run = _run(dataset, params, data)
    listing = corpora.list_takes(dataset, run.entry, Path(run.entry.root))
    for title, columns, rows in corpora.inventory(listing).tables():
        console.show_table(title, columns, rows)


@app.command()
def status(
    dataset: DatasetOption = "demo", params: ParamsOption = None, data: DataOption = Path("data")
) -> None:
    """Tell what each stage gave and where to look. Runs nothing."""
    from cli import console
    from pipeline.run import summaries

    run = _run(dataset, params, data)
    rows, places = [], []
    for stage, found in summaries(run, STAGES).items():
        if found is None:
            rows.append([stage, "not run", "", "", ""])
            continue
        why = ", ".join(f"{reason} {n}" for reason, n in found["reasons"].items())
        counts = [f"{found['planned']} {found['grain']}s", f"{found['kept']}"]
        rows.append([stage, *counts, str(found["planned"] - found["kept"]), why])
        places += found["look"][:1]
    console.show_table(dataset, ["stage", "planned", "kept", "rejected", "why"], rows)
    for place in places:
        below = run.data / place
        console.out.print(f"look: {below if below.exists() else place}", markup=False)


@app.command("align-pair")
def align_pair(
    a: Annotated[Path, typer.Argument(help="First media file.")],
    b: Annotated[Path, typer.Argument(help="Second media file.")],
    fps: Annotated[
        float | None,
        typer.Option(help="Frame i is [i/fps, (i+1)/fps) instead of the file's own times."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    params: ParamsOption = None,
) -> None:
    """Align any two media files: same sentence or not; if so, which frames belong together."""
    from cli import console
    from pipeline.pairing.files import align_files

    result = align_files(a, b, fps, _params(params))
    if as_json:
        typer.echo(json.dumps(result.as_json(), allow_nan=False))
        return
    for title, columns, rows in result.tables():
        console.show_table(title, columns, rows)


@app.command("audit-pairs")
def audit_pairs(
    file: Annotated[Path, typer.Argument(help="A pair list in the published schema.")],
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset", "-d", help="Judge the pairs by this dataset's sentences and maps."
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(min=1, help="Frames a second of the list; else each take's own rate."),
    ] = None,
    level: LevelOption = None,
    view: ViewOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    params: ParamsOption = None,
    data: DataOption = Path("data"),
) -> None:
    """Check a pair list: lengths, runs, one-to-one; with a dataset also sentences and maps."""
    _require_build()
    from cli import console
    from pipeline.audit.compare import compare_all
    from pipeline.audit.dataset import read_known
    from pipeline.audit.pairlist import read_pair_list
    from pipeline.audit.report import audit

    pairs = read_pair_list(file)
    known = dataset and read_known(_run(dataset, params, data), level=level, view=view)
    result = audit(pairs, compare_all(pairs, known, fps) if known else ())
    if as_json:
        typer.echo(json.dumps(result.as_json(), allow_nan=False))
        return
    for title, columns, rows in result.tables():
        console.show_table(title, columns, rows)


export.register(app)
published.register(app)
app.add_typer(models.app, name="models")


@app.command("train-encoder")
def train_encoder(
    out: Annotated[Path, typer.Option("--out", help="Folder of this training.")],
    dataset: DatasetOption = "demo",
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    engine: EngineOption = "processes",
    workers: WorkersOption = 0,
) -> None:
    """Train a W+ encoder for a frozen generator on a dataset's faces; goes on where it stopped."""
    options = _options(engine, workers, "1/1", force=False, retry_failed=False)
    run = _run(dataset, params, data, options)
    from cli import console
    from pipeline.training.on_dataset import train_on_dataset

    trained = train_on_dataset(run, out)
    console.out.print(
        f"{trained.n_pictures} pictures, {run.params.train_encoder.steps} steps: {trained.path}\n"
        f"losses: {out / 'losses.csv'}, pictures: {out / 'sheet.png'}\n"
        f"to use it, name it under models: path {trained.path}, sha256 {trained.sha256}",
        markup=False,
    )


def _run(dataset: str, path: Path | None, data: Path, options: Options | None = None) -> Run:
    params = _params(path)
    from cli import console
    from pipeline.run import Options, Run

    params.dataset(dataset)
    return Run(dataset, params, data, options or Options(), console.Bar())


def _options(engine: str, workers: int, shard: str, force: bool, retry_failed: bool) -> Options:
    _require_build()
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


def main() -> None:
    """Run the command line; a PipelineError is one line and exit 1."""
    try:
        app()
    except PartDone as done:
        typer.echo(str(done))
    except PipelineError as error:
        from cli import console

        console.fail(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo(
            "stopped; what is finished is kept: the same command goes on from there", err=True
        )
        sys.exit(130)


if __name__ == "__main__":
    main()
