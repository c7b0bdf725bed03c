"""The commands over finished shards: they need the base install alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands import JsonOption

if TYPE_CHECKING:
    from pipeline.tools.inspect.diff import Difference

FolderArgument = Annotated[
    Path, typer.Argument(help="A folder of shards, such as data/demo/shards.")
]
_TOLD = 40


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(verify)
    app.command()(show)
    app.command()(diff)


def verify(
    folder: FolderArgument,
    fast: Annotated[bool, typer.Option("--fast", help="Decode a sample of the pictures.")] = False,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="OTHER",
            help="Also compare with another version: exit 1 where more than rounding differs.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check shards: checksums, rows, schema, pictures, sounds, leaks, references. Exit 1 if any."""
    from cli import console
    from pipeline.runtime.machine import cores
    from pipeline.tools.inspect import verify as checks
    from pipeline.tools.inspect.diff import compare

    bar, threads = console.Bar(), cores()
    with console.waiting(f"verify {folder}"):
        verdict = checks.verify(folder, fast=fast, threads=threads, progress=bar)
        apart = None if against is None else compare(against, folder)
    if as_json:
        told = {} if apart is None else {"against": apart.as_json()}
        console.show_json({**verdict.as_json(), **told})
    else:
        rows = [[f.check, f.where, f.what] for f in verdict.findings]
        if rows:
            more = f", the first {_TOLD}" if len(rows) > _TOLD else ""
            title = f"{folder}: {len(rows)} findings{more}"
            console.show_table(title, ["check", "where", "what is wrong"], rows[:_TOLD])
        console.say(
            f"{verdict.files} files, {verdict.rows} rows, {verdict.pictures} pictures and "
            f"{verdict.sounds} sounds decoded: {'sound' if verdict.is_sound else 'not sound'}",
            "green" if verdict.is_sound else "red",
        )
        for line in verdict.notes:
            console.say(f"  {line}")
    if apart is not None and not as_json:
        _show_difference(apart)
    if not verdict.is_sound or (apart is not None and apart.verdict == "changed"):
        raise typer.Exit(1)


def show(
    folder: FolderArgument,
    config: Annotated[str, typer.Option(help="pairs, sequences, takes, ...")] = "pairs",
    split: Annotated[
        str | None, typer.Option(help="train, validation or test; else the first there is.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="A condition: 'mouth_agreement > 0.8'. Repeatable.")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, max=99, help="Rows, evenly spread.")] = 6,
    out: Annotated[Path | None, typer.Option(help="Write a contact sheet: .png or .jpg.")] = None,
    thumb_px: Annotated[int, typer.Option(min=16, max=1024, help="Side of a picture.")] = 160,
    as_json: JsonOption = False,
) -> None:
    """Show rows of shards, and their pictures as a contact sheet."""
    from cli import console
    from pipeline.tools.inspect import show as shown
    from pipeline.tools.inspect.sheet import write_picture
    from pipeline.tools.inspect.where import conditions

    with console.waiting(f"show {folder}"):
        found = shown.show(folder, config, split, conditions(config, where or []), n)
    if as_json:
        console.show_json(found.as_json())
    else:
        console.show_table(*found.table())
    if out is not None:
        write_picture(out, found.sheet(thumb_px))
        console.note(f"look: {out}")


def diff(
    old: FolderArgument,
    new: FolderArgument,
    as_json: JsonOption = False,
) -> None:
    """Tell what changed between two versions of shards: pairs gained, lost, changed, and why."""
    from cli import console
    from pipeline.tools.inspect.diff import compare

    with console.waiting("diff"):
        found: Difference = compare(old, new)
    if as_json:
        console.show_json(found.as_json())
        return
    _show_difference(found)


def _show_difference(found: Difference) -> None:
    from cli import console
    from pipeline.tools.inspect.diff import VERDICTS

    for title, columns, rows in found.tables():
        console.show_table(title, columns, rows)
    console.say(VERDICTS[found.verdict], "red" if found.verdict == "changed" else "green")
