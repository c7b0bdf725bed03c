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
    TaskID,
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
        _screen.add(self)

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
        _screen.update(self)

    def close(self) -> None:
        """Stop showing it."""
        _screen.remove(self)

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
        self._shown: dict[ProgressItem, TaskID | None] = {}
        self._progress: Progress | None = None
        self._ended: threading.Event | None = None

    def add(self, shown: ProgressItem) -> None:
        if verbosity.is_quiet():
            return
        if not self._shown:
            self._open()
        self._shown[shown] = None
        if self._progress is not None:
            self._shown[shown] = self._progress.add_task(
                shown.label, total=shown.total, shown=shown
            )
            self._hide_waits(self._progress)

    def update(self, shown: ProgressItem) -> None:
        task = self._shown.get(shown)
        if self._progress is not None and task is not None:
            self._progress.update(task, completed=shown.done, total=shown.total)

    def remove(self, shown: ProgressItem) -> None:
        if shown not in self._shown:
            return
        task = self._shown.pop(shown)
        if self._progress is not None and task is not None:
            self._progress.remove_task(task)
            self._hide_waits(self._progress)
        if not self._shown:
            self.close()
        if verbosity.is_verbose():
            err.print(f"{shown.label}: {_ended(shown)}", markup=False)

    def _hide_waits(self, progress: Progress) -> None:
        counted = any(shown.total is not None for shown in self._shown)
        for shown, task in self._shown.items():
            if task is not None and shown.total is None:
                progress.update(task, visible=not counted)

    def _open(self) -> None:
        if err.is_terminal and not err.is_dumb_terminal:
            self._progress = _bars()
            self._progress.start()
        else:
            self._ended = threading.Event()
            threading.Thread(target=self._print_lines, args=(self._ended,), daemon=True).start()

    def _print_lines(self, ended: threading.Event) -> None:
        while not ended.wait(LINE_EVERY_S):
            counts = [s for s in list(self._shown) if s.total is not None] or list(self._shown)
            for shown in counts[-1:]:
                err.print(f"{shown.label}: {shown.text()}", markup=False)

    def close(self) -> None:
        """End all that is shown, after an error too."""
        self._shown.clear()
        if self._progress is not None:
            self._progress.stop()
        if self._ended is not None:
            self._ended.set()
        self._progress = self._ended = None


def _bars() -> Progress:
    bar = [BarColumn(bar_width=None)] if err.width >= _WIDE else []
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), *bar, _Numbers(),
        console=err, transient=True, expand=True,
        redirect_stdout=sys.stdout.isatty(),  # output into a pipe is not the terminal's
    )  # fmt: skip


def _ended(shown: ProgressItem) -> str:
    count = "" if shown.total is None else f"{shown.done:.0f} of {shown.total:.0f} in "
    return f"{count}{shown.elapsed_s:.1f} s"


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
