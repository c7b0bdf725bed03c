"""What the terminal shows: progress, one summary a stage, tables; no colours in pipes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

if TYPE_CHECKING:
    from pipeline.run import Summary

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)
_LINE_EVERY_S = 15.0


class Bar:
    """Progress with rate and time left on a terminal; a line now and then in a pipe."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._label, self._total, self._count, self._said = "", 0, 0, 0.0

    def start(self, label: str, total: int) -> None:
        """Begin a count up to `total`."""
        self._label, self._total, self._count = label, total, 0
        self._said = time.monotonic()
        if total and err.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
                console=err, transient=True,
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task(label, total=total)

    def step(self) -> None:
        """One more is done."""
        self._count += 1
        if self._bar is not None:
            self._bar.advance(self._task)
        elif time.monotonic() - self._said > _LINE_EVERY_S:
            self._said = time.monotonic()
            err.print(f"{self._label}: {self._count} of {self._total}")

    def stop(self) -> None:
        """The count has ended."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


@contextmanager
def transfer(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """Bytes, rate and time left on a terminal; a line now and then in a pipe."""
    said = time.monotonic()

    def line(done: int, whole: int | None) -> None:
        nonlocal said
        if time.monotonic() - said > _LINE_EVERY_S:
            said = time.monotonic()
            of = f" of {whole / 1e6:.0f}" if whole else ""
            err.print(f"{label}: {done / 1e6:.0f}{of} MB", markup=False)

    if not err.is_terminal:
        yield line
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)


def show_summary(summary: Summary, seconds: float) -> None:
    """What was planned, kept and rejected and why, what was redone, where to look."""
    rejects = ", ".join(f"{reason} {n}" for reason, n in summary.reasons.items())
    out.print(
        f"[bold]{summary.stage} {summary.dataset}[/bold]: "
        f"{summary.planned} {summary.grain}s, [green]{summary.kept} kept[/green], "
        f"{summary.planned - summary.kept} rejected" + (f" ({rejects})" if rejects else "")
    )
    out.print(
        f"  {summary.done} redone, {summary.reused} reused, {summary.removed} removed, "
        f"{seconds:.1f} s"
    )
    for note in summary.notes:
        out.print(f"  {note}", markup=False)
    for place in summary.look:
        out.print(f"  look: {place}", markup=False)


def show_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A small table; plain columns when the output is a pipe."""
    if not out.is_terminal:
        out.print(title, markup=False)
        widths = [max(len(r[k]) for r in [columns, *rows]) for k in range(len(columns))]
        for row in [columns, *rows]:
            line = "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))
            out.print(f"  {line}".rstrip(), markup=False)
        return
    table = Table(title=title, title_justify="left", show_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    out.print(table)


def note(message: str | None) -> None:
    """A line on the error stream, if there is one to say."""
    if message:
        err.print(message, markup=False)


def fail(message: str) -> None:
    """One line on the error stream."""
    line = " ".join(message.split())
    if err.is_terminal:
        err.print("[bold red]error[/bold red]: ", end="")
        err.print(line, markup=False)
    else:
        sys.stderr.write(f"error: {line}\n")
