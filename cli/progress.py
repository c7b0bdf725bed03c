"""Progress: a bar in a terminal, a line every 15 s in a pipe, nothing with --quiet."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

from cli import verbosity

LINE_EVERY_S = 15.0
"""Interval of progress lines in a pipe."""
_WIDE = 76
"""Least terminal width for a bar."""
_SLOW_PER_S = 1.0


err = Console(stderr=True, soft_wrap=True, highlight=False)
"""Standard error."""


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def how_far(
    done: float, total: float | None, per_s: float, elapsed_s: float, *, in_bytes: bool
) -> str:
    """Count, rate and time left as text; without a rate yet, the elapsed time.

    >>> how_far(40, 120, 2.0, 25.0, in_bytes=False)
    '40/120  2.0/s  0:40 left'
    >>> how_far(3, 4, 1 / 30, 90.0, in_bytes=False)
    '3/4  2.0/min  0:30 left'
    """
    if total is None and not in_bytes:
        return clock(elapsed_s)
    scale, unit = (1e6, " MB") if in_bytes else (1.0, "")
    of = "" if total is None else f"/{total / scale:.0f}"
    parts = [f"{done / scale:.0f}{of}{unit}"]
    parts.append(_rate(per_s, in_bytes=in_bytes) if per_s > 0 else clock(elapsed_s))
    if per_s > 0 and total is not None and total > done:
        parts.append(f"{clock((total - done) / per_s)} left")
    return "  ".join(parts)


def _rate(per_s: float, *, in_bytes: bool) -> str:
    if in_bytes:
        return f"{per_s / 1e6:.1f} MB/s"
    return f"{per_s:.1f}/s" if per_s >= _SLOW_PER_S else f"{60 * per_s:.1f}/min"


class _Numbers(ProgressColumn):
    """Count, rate and time left of one task."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))

    def render(self, task: Task) -> Text:
        shown: ProgressItem = task.fields["shown"]
        return Text(shown.text())


class ProgressItem:
    """A count, or a wait without a count, that is shown until `close`."""

    def __init__(self, label: str, total: float | None, *, in_bytes: bool = False) -> None:
        self.label, self.total, self.in_bytes = label, total, in_bytes
        self.done, self.began = 0.0, time.monotonic()
        self._first: tuple[float, float] | None = None
        self._task = _screen.open().add_task(label, total=total, shown=self)
        _screen.hide_waits()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    def advance(self, by: float) -> None:
        """Add to the amount done."""
        self.reach(self.done + by)

    def reach(self, done: float, total: float | None = None) -> None:
        """Set the amount done, and the total once it is known."""
        self.done, self.total = done, self.total if total is None else total
        if self._first is None and done > 0:
            self._first = self.elapsed_s, done
        if _screen.shown():
            _screen.open().update(self._task, completed=self.done, total=self.total)

    def close(self) -> None:
        """Stop showing it."""
        if self not in _screen.shown():
            return
        _screen.open().remove_task(self._task)
        _screen.hide_waits()
        if not _screen.shown():
            _screen.close()
        if verbosity.is_verbose():
            count = "" if self.total is None else f"{self.done:.0f} of {self.total:.0f} in "
            err.print(f"{self.label}: {count}{self.elapsed_s:.1f} s", markup=False)

    @property
    def per_s(self) -> float:
        """The rate since the first step; before it, workers were starting."""
        if self._first is None:
            return 0.0
        began_s, done = self._first
        passed_s = self.elapsed_s - began_s
        return (self.done - done) / passed_s if passed_s > 0 else 0.0

    def text(self) -> str:
        """The progress as text, without the label."""
        return how_far(
            self.done, self.total, self.per_s, self.elapsed_s, in_bytes=self.in_bytes
        )  # fmt: skip


class _Screen:
    """Everything shown: counts with bars; a wait only while there is no count."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._ended = threading.Event()

    def shown(self) -> list[ProgressItem]:
        tasks = self._progress.tasks if self._progress else []
        return [task.fields["shown"] for task in tasks]

    def open(self) -> Progress:
        """The bars of a terminal; elsewhere they count only, and a thread prints lines."""
        if self._progress is None:
            is_live = err.is_terminal and not err.is_dumb_terminal and not verbosity.is_quiet()
            bar = [BarColumn(bar_width=None)] if err.width >= _WIDE else []
            self._progress = Progress(
                SpinnerColumn(), TextColumn("{task.description}", markup=False), *bar, _Numbers(),
                console=err, transient=True, expand=True, disable=not is_live,
                redirect_stdout=sys.stdout.isatty(),  # output into a pipe is not the terminal's
            )  # fmt: skip
            self._progress.start()
            self._ended = threading.Event()
            if not is_live and not verbosity.is_quiet():
                threading.Thread(target=self._print_lines, args=(self._ended,), daemon=True).start()
        return self._progress

    def hide_waits(self) -> None:
        counted = any(shown.total is not None for shown in self.shown())
        for task in self._progress.tasks if self._progress else ():
            task.visible = task.total is not None or not counted

    def _print_lines(self, ended: threading.Event) -> None:
        while not ended.wait(LINE_EVERY_S):
            items = self.shown()
            for shown in ([item for item in items if item.total is not None] or items)[-1:]:
                err.print(f"{shown.label}: {shown.text()}", markup=False)

    def close(self) -> None:
        """End all that is shown, after an error too."""
        if self._progress is not None:
            self._progress.stop()
        self._ended.set()
        self._progress = None


_screen = _Screen()


def close_all() -> None:
    """Stop all progress output and restore the terminal."""
    _screen.close()


@contextmanager
def bar(label: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a count up to `total`; the block calls the function for each item."""
    shown = ProgressItem(label, total) if total else None
    try:
        yield lambda: shown.advance(1) if shown else None
    finally:
        if shown:
            shown.close()


@contextmanager
def waiting(label: str) -> Iterator[None]:
    """Show elapsed time while something of unknown length runs; counts inside replace it."""
    shown = ProgressItem(label, None)
    try:
        yield
    finally:
        shown.close()


@contextmanager
def transfer(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show bytes, rate and time left; the block calls the function with (done, total or None)."""
    shown = ProgressItem(label, None, in_bytes=True)
    try:
        yield lambda done, total: shown.reach(done, total)
    finally:
        shown.close()


@contextmanager
def counted(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a count; the block calls the function with (done, total)."""
    shown: ProgressItem | None = None

    def update(done: int, total: int) -> None:
        nonlocal shown
        if shown is None:
            shown = ProgressItem(label, total)
        shown.reach(done, total)

    try:
        yield update
    finally:
        if shown is not None:
            shown.close()
