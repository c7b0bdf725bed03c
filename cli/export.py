"""`spfem-data export`: datasets in other projects' layouts."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console
from cli.options import DataOption, DatasetOption, ParamsOption, make_run
from pipeline.errors import ParameterError

if TYPE_CHECKING:
    from pipeline.runtime.run import Run


class Format(StrEnum):
    """The values of --format."""

    PAIRS = "pairs-json"
    FRAME_INFO = "frame-info"
    EAT = "eat"
    WEBDATASET = "webdataset"
    MDS = "mds"


def export(
    out: Annotated[Path, typer.Option(help="The file (pairs-json) or folder to write.")],
    form: Annotated[Format, typer.Option("--format", help="The layout to write.")],
    dataset: DatasetOption = "demo",
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
    params: ParamsOption = None,
    data: DataOption = Path("data"),
) -> None:
    """Write pairs, takes or shards in another project's layout."""
    is_of_shards = form in (Format.WEBDATASET, Format.MDS)
    if shards is not None and not is_of_shards:
        raise ParameterError(
            f"--from: {form.value} is written from the tables of --dataset, not from shards"
        )
    with console.waiting(f"export {form.value}"):
        if is_of_shards:
            counts = _from_shards(form, shards or data / dataset / "shards", config, out)
        else:
            counts = _from_tables(form, make_run(dataset, params, data), out, level, view)
    console.say(f"{counts}: {out}")


def _from_shards(form: Format, folder: Path, config: str, out: Path) -> str:
    from pipeline.tools.export import shard_formats

    write = shard_formats.write_tars if form is Format.WEBDATASET else shard_formats.write_mds
    files = list(folder.glob(f"data/{config}/*.parquet"))
    with console.bar(f"export {form.value}", len(files)) as step:
        return f"{write(folder, config, out, step)} samples"


def _from_tables(form: Format, run: Run, out: Path, level: int | None, view: str | None) -> str:
    from pipeline.records import Clip, Pair
    from pipeline.tools.audit import pairlist
    from pipeline.tools.export import take_formats

    if form is Format.PAIRS:
        pairs = run.need("align", "pairs", Pair)
        takes = run.need("extract", "clips", Clip)
        listed = pairlist.to_listed(pairs, takes, level=level, view=view)
        pairlist.write_pair_list(out, listed)
        return f"{len(listed)} clip pairs"
    chosen = take_formats.choose(
        run.need("extract", "clips", Clip), run.items("extract"), level=level, view=view
    )
    write = take_formats.write_tree if form is Format.FRAME_INFO else take_formats.write_clips
    with run.progress(f"export {form.value}", len(chosen)) as step:
        written = write(out, chosen, step)
    return f"{written.takes} takes, {written.frames} frames"
