"""Commands on finished shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console
from cli.commands import JsonOption

if TYPE_CHECKING:
    from pipeline.tools.inspect.diff import Difference

FolderArgument = Annotated[
    Path, typer.Argument(help="A folder of shards, such as data/demo/shards.")
]
_MAX_ROWS = 40


def verify(
    folder: FolderArgument,
    fast: Annotated[
        bool, typer.Option("--fast", help="Decode only a sample of the images.")
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="OTHER",
            help="Also compare with another version; exit 1 if more than rounding differs.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check shards: checksums, rows, schema, images, audio, leaks, references. Exit 1 on errors."""
    from pipeline.runtime.machine import cores
    from pipeline.tools.inspect import verify as checks
    from pipeline.tools.inspect.diff import compare

    with console.waiting(f"verify {folder}"):
        verdict = checks.verify(folder, fast=fast, threads=cores(), progress=console.bar)
        difference = None if against is None else compare(against, folder)
    if as_json:
        compared = {} if difference is None else {"against": difference.as_json()}
        console.show_json({**verdict.as_json(), **compared})
    else:
        rows = [[f.check, f.where, f.what] for f in verdict.findings]
        if rows:
            more = f", the first {_MAX_ROWS}" if len(rows) > _MAX_ROWS else ""
            title = f"{folder}: {len(rows)} findings{more}"
            console.show_table(title, ["check", "where", "what is wrong"], rows[:_MAX_ROWS])
        console.say(
            f"{verdict.files} files, {verdict.rows} rows, {verdict.images} images and "
            f"{verdict.recordings} audio files decoded: {'ok' if verdict.ok else 'damaged'}",
            "green" if verdict.ok else "red",
        )
        for line in verdict.notes:
            console.say(f"  {line}")
    if difference is not None and not as_json:
        _show_difference(difference)
    if not verdict.ok or (difference is not None and difference.verdict == "changed"):
        raise typer.Exit(1)


def show(
    folder: FolderArgument,
    config: Annotated[str, typer.Option(help="pairs, sequences, takes, ...")] = "pairs",
    split: Annotated[
        str | None, typer.Option(help="train, validation or test; by default the first available.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="A condition, such as 'mouth_agreement > 0.8'.")
    ] = None,
    n: Annotated[
        int, typer.Option("--n", min=1, max=99, help="Number of rows, evenly spaced.")
    ] = 6,
    out: Annotated[Path | None, typer.Option(help="Write a contact sheet: .png or .jpg.")] = None,
    thumb_px: Annotated[int, typer.Option(min=16, max=1024, help="Side of an image.")] = 160,
    as_json: JsonOption = False,
) -> None:
    """Show rows of shards, and their images as a contact sheet."""
    from pipeline.tools.inspect import show as tool
    from pipeline.tools.inspect.sheet import write_image
    from pipeline.tools.inspect.show import conditions

    with console.waiting(f"show {folder}"):
        rows = tool.show(folder, config, split, conditions(config, where or []), n)
    if as_json:
        console.show_json(rows.as_json())
    else:
        console.show_table(*rows.table())
    if out is not None:
        write_image(out, rows.sheet(thumb_px))
        console.note(f"see: {out}")


def diff(
    old: FolderArgument,
    new: FolderArgument,
    as_json: JsonOption = False,
) -> None:
    """Compare two versions of shards: pairs gained, lost and changed, and why."""
    from pipeline.tools.inspect.diff import compare

    with console.waiting("diff"):
        difference: Difference = compare(old, new)
    if as_json:
        console.show_json(difference.as_json())
        return
    _show_difference(difference)


def _show_difference(difference: Difference) -> None:
    from pipeline.tools.inspect.diff import VERDICTS

    for title, columns, rows in difference.tables():
        console.show_table(title, columns, rows)
    console.say(VERDICTS[difference.verdict], "red" if difference.verdict == "changed" else "green")
