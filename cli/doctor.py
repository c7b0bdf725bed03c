"""`spfem-data doctor`: what is wrong with this machine, installation and project, and the mend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands import JsonOption
from cli.options import DataOption, ParamsOption

if TYPE_CHECKING:
    from pipeline.tools.doctor import Check


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(doctor)


def doctor(
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    fast: Annotated[
        bool, typer.Option("--fast", help="No trials of libraries, no walks through corpora.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find what is wrong or missing, and the command or setting that mends it. Exit 1 if any."""
    from cli import console
    from pipeline.tools.doctor import Patient, examine

    here = Path("params.yaml")
    path = params or (here if here.is_file() else None)
    found: list[Check] = []
    for check in _awaited(examine(Patient(path, data, path is not None, fast))):
        found.append(check)
        if not as_json:
            console.show_check(check.state, check.name, check.detail, check.fix)
    failed = sum(check.state == "fail" for check in found)
    warned = sum(check.state == "warn" for check in found)
    if as_json:
        checks = [check.as_json() for check in found]
        console.show_json({"sound": not failed, "checks": checks})
    else:
        console.say(_verdict(failed, warned), "bold")
    if failed:
        raise typer.Exit(1)


def _awaited(checks: Iterator[Check]) -> Iterator[Check]:
    """Each check as it comes, with a sign of life while it does not."""
    from cli import console

    while True:
        with console.waiting("doctor"):
            check = next(checks, None)
        if check is None:
            return
        yield check


def _verdict(failed: int, warned: int) -> str:
    if not failed and not warned:
        return "all is well"
    said = f"{failed} to mend, {warned} to know of"
    return f"{said}; begin at the top" if failed else said
