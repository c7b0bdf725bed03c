"""Commands about pairs: align two files, check a published pair list, draw one pair."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import console, project
from cli.commands import JsonOption
from cli.options import (
    DataOption,
    LevelOption,
    ParamsOption,
    ViewOption,
    load_params,
    make_run,
    require_build,
)


def align_pair(
    a: Annotated[Path, typer.Argument(help="First media file.")],
    b: Annotated[Path, typer.Argument(help="Second media file.")],
    fps: Annotated[
        float | None,
        typer.Option(help="Use frames [i/fps, (i+1)/fps) instead of the file's own times."),
    ] = None,
    as_json: JsonOption = False,
    params: ParamsOption = None,
) -> None:
    """Align any two media files: do they say the same sentence, and which frames correspond?"""
    from pipeline.tools.align_pair import align_files

    with console.waiting("align-pair"):
        result = align_files(a, b, fps, load_params(params))
    if as_json:
        console.show_json(result.as_json())
        return
    for title, columns, rows in result.tables():
        console.show_table(title, columns, rows)


def audit_pairs(
    file: Annotated[Path, typer.Argument(help="A pair list in the published schema.")],
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset", "-d", help="Also check against this dataset's sentences and time maps."
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(min=1, help="Frame rate of the list; by default each take's own."),
    ] = None,
    level: LevelOption = None,
    view: ViewOption = None,
    as_json: JsonOption = False,
    params: ParamsOption = None,
    data: DataOption = Path("data"),
) -> None:
    """Check a pair list: lengths, runs, one-to-one; with a dataset also sentences and time maps."""
    require_build()
    from pipeline.tools.audit.compare import compare_all, read_known
    from pipeline.tools.audit.outcome import audit
    from pipeline.tools.audit.pairlist import read_pair_list

    with console.waiting(f"audit-pairs {file}"):
        pairs = read_pair_list(file)
        known = dataset and read_known(make_run(dataset, params, data), level=level, view=view)
        result = audit(pairs, compare_all(pairs, known, fps) if known else ())
    if as_json:
        console.show_json(result.as_json())
        return
    for title, columns, rows in result.tables():
        console.show_table(title, columns, rows)


def show_pair(
    pair: Annotated[str, typer.Argument(metavar="ID", help="A pair_id of the table align/pairs.")],
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", help="By default the dataset that has the pair.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The PNG to write; by default ID.png here.")
    ] = None,
    params: ParamsOption = None,
    data: DataOption = Path("data"),
) -> None:
    """Draw one pair: film strips of both takes, confidence, mouths, audio, time map, numbers."""
    from pipeline.runtime.store import write_bytes
    from pipeline.tools.show_pair.one_pair import draw_pair, find_dataset

    name = dataset or find_dataset(data, load_params(params).datasets, pair)
    image = draw_pair(make_run(name, params, data), pair)
    target = out or project.typed(Path(f"{pair}.png"))
    write_bytes(target, image)
    typer.echo(str(target))
