"""Commands about pairs: align two files, check a published pair list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.commands import JsonOption
from cli.options import DataOption, LevelOption, ParamsOption, ViewOption, make_run
from cli.settings import load_params, require_build


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("align-pair")(align_pair)
    app.command("audit-pairs")(audit_pairs)


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
    from cli import console
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
    from cli import console
    from pipeline.tools.audit.compare import compare_all
    from pipeline.tools.audit.dataset import read_known
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
