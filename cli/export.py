"""`spfem-data export`: datasets in other projects' layouts."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.settings import load_params
from pipeline.errors import ParameterError

if TYPE_CHECKING:
    from cli.console import Bar
    from pipeline.runtime.run import Run


class Format(StrEnum):
    """The values of --format."""

    PAIRS = "pairs-json"
    FRAME_INFO = "frame-info"
    EAT = "eat"
    WEBDATASET = "webdataset"
    MDS = "mds"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(export)


def export(
    out: Annotated[Path, typer.Option(help="The file (pairs-json) or folder to write.")],
    form: Annotated[Format, typer.Option("--format", help="The layout to write.")],
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", help="A name under `datasets` in params.yaml.")
    ] = "demo",
    shards: Annotated[
        Path | None,
        typer.Option(
            "--from", help="A folder of shards, for webdataset and mds; by default --dataset's."
        ),
    ] = None,
    config: Annotated[str, typer.Option(help="Config of the shards: pairs, takes, ...")] = "pairs",
    level: Annotated[
        int | None,
        typer.Option(
            help="Level of the takes; pairs-json: by default the highest of each emotion."
        ),
    ] = None,
    view: Annotated[
        str | None, typer.Option(help="The camera; by default front, else the first by name.")
    ] = None,
    params: Annotated[
        Path | None,
        typer.Option(
            envvar="SPFEM_PARAMS", help="The params.yaml to use; by default the one here or above."
        ),
    ] = None,
    data: Annotated[Path, typer.Option(envvar="SPFEM_DATA", help="Folder of all outputs.")] = Path(
        "data"
    ),
) -> None:
    """Write pairs, takes or shards in another project's layout."""
    from cli import console

    with console.waiting(f"export {form.value}"):
        if form in (Format.WEBDATASET, Format.MDS):
            counts = _from_shards(form, shards or data / dataset / "shards", config, out)
        elif shards is not None:
            raise ParameterError(
                f"--from: {form.value} is written from the tables of --dataset, not from shards"
            )
        else:
            counts = _from_tables(form, dataset, params, data, out, level, view)
    console.say(f"{counts}: {out}")


def _from_shards(form: Format, folder: Path, config: str, out: Path) -> str:
    from cli import console
    from pipeline.tools.export import mds, webdataset

    write = webdataset.write_tars if form is Format.WEBDATASET else mds.write_mds
    files = list(folder.glob(f"data/{config}/*.parquet"))
    return f"{_with_bar(console.Bar(), form, len(files), write, folder, config, out)} samples"


def _with_bar(
    bar: Bar, form: Format, total: int, write: Callable[..., object], *arguments: object
) -> object:
    bar.start(f"export {form.value}", total)
    try:
        return write(*arguments, bar.step)
    finally:
        bar.stop()


def _from_tables(
    form: Format,
    dataset: str,
    params: Path | None,
    data: Path,
    out: Path,
    level: int | None,
    view: str | None,
) -> str:
    run = _run(dataset, params, data)
    if form is Format.PAIRS:
        return _pair_list(run, out, level, view)
    from pipeline.records import Clip
    from pipeline.tools.export import clips, frame_info
    from pipeline.tools.export.framed_takes import choose

    takes = choose(run.need("extract", "clips", Clip), run.items("extract"), level=level, view=view)
    write = frame_info.write_tree if form is Format.FRAME_INFO else clips.write_clips
    run.progress.start(f"export {form.value}", len(takes))
    written = write(out, takes, run.progress.step)
    run.progress.stop()
    return f"{written.takes} takes, {written.frames} frames"


def _run(dataset: str, path: Path | None, data: Path) -> Run:
    params = load_params(path)
    from cli import console
    from pipeline.runtime.run import Run

    params.dataset(dataset)
    return Run(dataset, params, data, progress=console.Bar())


def _pair_list(run: Run, out: Path, level: int | None, view: str | None) -> str:
    from pipeline.records import Clip, Pair
    from pipeline.tools.audit.pairlist import write_pair_list
    from pipeline.tools.export.pairs_json import to_listed

    pairs, clips = run.need("align", "pairs", Pair), run.need("extract", "clips", Clip)
    listed = to_listed(pairs, clips, level=level, view=view)
    write_pair_list(out, listed)
    return f"{len(listed)} clip pairs"
