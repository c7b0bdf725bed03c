"""`spfem-data doctor`: problems of the machine, installation and project, and how to fix them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console
from cli.commands import JsonOption
from cli.options import DataOption, ParamsOption

if TYPE_CHECKING:
    from pipeline.tools.doctor import Check


def doctor(
    params: ParamsOption = None,
    data: DataOption = Path("data"),
    fast: Annotated[
        bool,
        typer.Option("--fast", help="Skip the checks of libraries and the walk through corpora."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check machine, installation and project; print the fix of each problem. Exit 1 on failure."""
    from pipeline.tools.doctor import examine

    here = Path("params.yaml")
    path = params or (here if here.is_file() else None)
    checks: list[Check] = []
    for check in _with_progress(examine(path, data, is_fast=fast)):
        checks.append(check)
        if not as_json:
            console.show_check(check.state, check.name, check.detail, check.fix)
    failed = sum(check.state == "fail" for check in checks)
    warned = sum(check.state == "warn" for check in checks)
    if as_json:
        console.show_json({"audio": not failed, "checks": [vars(c) for c in checks]})
    else:
        console.say(_verdict(failed, warned), "bold")
    if failed:
        raise typer.Exit(1)


def _with_progress(checks: Iterator[Check]) -> Iterator[Check]:
    """Each check as soon as it is done, with a progress line meanwhile."""
    while True:
        with console.waiting("doctor"):
            check = next(checks, None)
        if check is None:
            return
        yield check


def _verdict(failed: int, warned: int) -> str:
    if not failed and not warned:
        return "no problems"
    counts = f"{failed} to fix, {warned} warnings"
    return f"{counts}; start at the top" if failed else counts
