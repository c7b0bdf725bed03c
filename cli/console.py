"""Terminal output: stage summaries, tables, notes, errors. No colours in pipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from cli import verbosity
from cli.progress import bar, counted, err, transfer, waiting

if TYPE_CHECKING:
    from pipeline.runtime.summaries import Summary

__all__ = [
    "bar",
    "counted",
    "fail",
    "note",
    "out",
    "room",
    "say",
    "show_check",
    "show_json",
    "show_summary",
    "show_table",
    "summary_json",
    "table_width",
    "transfer",
    "waiting",
]

_NAMES = 14
"""Width of the names of checks."""
out = Console(soft_wrap=True, highlight=False)


def show_json(value: Any) -> None:
    """Print one JSON value to standard output, also with --quiet."""
    sys.stdout.write(json.dumps(value, allow_nan=False, ensure_ascii=False) + "\n")


def say(line: str, style: str = "") -> None:
    """Print a line to standard output, unless quiet."""
    if not verbosity.is_quiet():
        out.print(Text(line, style))


def note(message: str | None) -> None:
    """Print a line to standard error, unless it is empty or --quiet is set."""
    if message and not verbosity.is_quiet():
        err.print(message, markup=False)


def detail(message: str) -> None:
    """Print a line to standard error with --verbose."""
    if verbosity.is_verbose():
        err.print(message, markup=False)


def fail(message: str) -> None:
    """Print one error line to standard error, also with --quiet."""
    line = " ".join(message.split())
    if err.is_terminal:
        err.print(Text.assemble(("error", "bold red"), ": ", line))
    else:
        sys.stderr.write(f"error: {line}\n")


def summary_json(summary: Summary, seconds: float) -> dict[str, Any]:
    """A stage's summary as JSON; `seconds` is its wall time."""
    names = (
        "stage", "dataset", "grain", "planned", "kept", "reasons", "done", "reused", "removed",
        "notes", "look",
    )  # fmt: skip
    values = {name: getattr(summary, name) for name in names}
    values["reasons"] = dict(summary.reasons)
    return {**values, "rejected": summary.planned - summary.kept, "seconds": round(seconds, 3)}


def show_summary(summary: Summary, seconds: float, *, as_json: bool = False) -> None:
    """Print what was kept, rejected by reason, redone and reused; then notes and output paths."""
    if as_json:
        show_json(summary_json(summary, seconds))
    if as_json or verbosity.is_quiet():
        return
    for line in _counts(summary, seconds):
        out.print(line)
    for note_line in summary.notes:
        _hanging("  ", note_line)
    for place in summary.look:
        out.print(Text.assemble("  see: ", (str(place), "cyan")))


def _counts(summary: Summary, seconds: float) -> list[Text]:
    from pipeline.errors import REASONS

    rejected = summary.planned - summary.kept
    title = Text.assemble(
        (f"{summary.stage} {summary.dataset}", "bold"),
        f": {summary.planned} {summary.grain}s planned, {seconds:.1f} s",
    )
    rows = [("kept", summary.kept, "green" if summary.kept else "", "")]
    rows += [("rejected", rejected, "yellow" if rejected else "", "")]
    rows += [(f"  {r}", n, "dim", REASONS[r].meaning) for r, n in summary.reasons.items()]
    wide = max(len(name) for name, *_ in rows)
    digits = max(len(str(count)) for _, count, *_ in rows)
    removed = f", {summary.removed} removed" if summary.removed else ""
    work = f"  {'units':<{wide}}  {summary.done} redone, {summary.reused} reused{removed}"
    return [title, *(_row(row, wide, digits) for row in rows), Text(work)]


def _row(row: tuple[str, int, str, str], wide: int, digits: int) -> Text:
    name, count, style, meaning = row
    line = Text.assemble(f"  {name:<{wide}}  ", (f"{count:>{digits}}", style))
    left = out.width - len(line) - 2 if out.is_terminal else len(meaning)
    if meaning and left >= len(meaning) // 3:
        line.append(f"  {_cut(meaning, left)}", "dim")
    return line


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(room - 1, 0)].rstrip() + "…"


def _hanging(indent: str, text: str) -> None:
    """Print a paragraph with a hanging indent; in a pipe, one long line."""
    if not out.is_terminal:
        out.print(indent + text, markup=False)
        return
    for k, line in enumerate(Text(text).wrap(out, max(out.width - len(indent) - 2, 20))):
        out.print(Text(indent + ("  " if k else "")) + line)


def show_check(state: str, name: str, finding: str, fix: str) -> None:
    """Print one line of the doctor, and below it the fix, which is never wrapped."""
    if verbosity.is_quiet():
        return
    style = {"ok": "green", "warn": "yellow"}.get(state, "bold red")
    head = Text.assemble((f"{state:<4}", style), "  ", (f"{name:<{_NAMES}}", "bold"), "  ")
    if out.is_terminal and len(head) + len(finding) > out.width:
        out.print(head)
        _hanging("      ", finding)
    else:
        out.print(head + Text(finding))
    if fix:
        out.print(Text.assemble("      ", ("fix", "cyan"), f": {fix}"))


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, numbers right-aligned.

    In a narrow terminal the last columns are printed below their rows; in a pipe a row is always
    one line.
    """
    if verbosity.is_quiet():
        return
    right = [_is_number(row[k] for row in rows) for k in range(len(columns))]
    widths = [max(len(line[k]) for line in [columns, *rows]) for k in range(len(columns))]
    shown = _fitting(widths) if out.is_terminal else len(columns)
    out.print(Text(title, "bold"))
    out.print(_table_row(columns[:shown], widths, right, "dim"))
    for row in rows:
        out.print(_table_row(row[:shown], widths, right))
        for name, cell in zip(columns[shown:], row[shown:], strict=True):
            if cell:
                _hanging("      ", f"{name}: {cell}")


def table_width(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """The width of a table with all columns side by side, in characters."""
    widths = [max(len(line[k]) for line in [columns, *rows]) for k in range(len(columns))]
    return sum(widths) + 2 * len(widths)


def room() -> int | None:
    """The width of the terminal in characters; None in a pipe."""
    return out.width if out.is_terminal else None


def _fitting(widths: Sequence[int]) -> int:
    """How many columns fit side by side, at least one."""
    taken = 0
    for k, width in enumerate(widths):
        taken += width + 2
        if taken > out.width:
            return max(k, 1)
    return len(widths)


def _table_row(
    cells: Sequence[str], widths: Sequence[int], right: Sequence[bool], style: str = ""
) -> Text:
    placed = (
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(cells, widths, right, strict=False)
    )
    return Text(f"  {'  '.join(placed)}".rstrip(), style)


def _is_number(cells: Any) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(cell.replace(".", "", 1).lstrip("-").isdigit() for cell in filled)
