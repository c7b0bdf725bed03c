"""What the terminal shows: one summary a stage, tables, notes, errors; no colours in pipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from cli import verbosity
from cli.progress import Bar, counted, transfer, waiting

if TYPE_CHECKING:
    from pipeline.runtime.summaries import Summary

__all__ = [
    "Bar",
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
    "table_width",
    "transfer",
    "waiting",
]

_NAMES = 14
"""Columns that the names of checks take."""
out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def show_json(value: Any) -> None:
    """One JSON value on the output, for machines: --quiet does not silence it."""
    sys.stdout.write(json.dumps(value, allow_nan=False, ensure_ascii=False) + "\n")


def say(line: str, style: str = "") -> None:
    """A line on the output, unless quiet."""
    if not verbosity.is_quiet():
        out.print(Text(line, style))


def note(message: str | None) -> None:
    """A line on the error stream, if there is one to say, unless quiet."""
    if message and not verbosity.is_quiet():
        err.print(message, markup=False)


def detail(message: str) -> None:
    """A line on the error stream for who asked for more with --verbose."""
    if verbosity.is_verbose():
        err.print(message, markup=False)


def fail(message: str) -> None:
    """One line on the error stream, always."""
    line = " ".join(message.split())
    if err.is_terminal:
        err.print(Text.assemble(("error", "bold red"), ": ", line))
    else:
        sys.stderr.write(f"error: {line}\n")


def _summary_json(summary: Summary, seconds: float) -> dict[str, Any]:
    """A stage's count for machines."""
    names = (
        "stage", "dataset", "grain", "planned", "kept", "reasons", "done", "reused", "removed",
        "notes", "look",
    )  # fmt: skip
    told = {name: getattr(summary, name) for name in names}
    told["reasons"] = dict(summary.reasons)
    return {**told, "rejected": summary.planned - summary.kept, "seconds": round(seconds, 3)}


def show_summary(summary: Summary, seconds: float, *, as_json: bool = False) -> None:
    """One table: kept, rejected by reason, redone, reused, time; then notes and where to look."""
    if as_json:
        show_json(_summary_json(summary, seconds))
    if as_json or verbosity.is_quiet():
        return
    for line in _counts(summary, seconds):
        out.print(line)
    for told in summary.notes:
        _hanging("  ", told)
    for place in summary.look:
        out.print(Text.assemble("  look: ", (str(place), "cyan")))


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
    """A paragraph whose further lines are indented, too; one long line in a pipe."""
    if not out.is_terminal:
        out.print(indent + text, markup=False)
        return
    for k, line in enumerate(Text(text).wrap(out, max(out.width - len(indent) - 2, 20))):
        out.print(Text(indent + ("  " if k else "")) + line)


def show_check(state: str, name: str, found: str, mend: str) -> None:
    """One line of the doctor, and below it what mends it; a command is never broken by us."""
    if verbosity.is_quiet():
        return
    style = {"ok": "green", "warn": "yellow"}.get(state, "bold red")
    head = Text.assemble((f"{state:<4}", style), "  ", (f"{name:<{_NAMES}}", "bold"), "  ")
    if out.is_terminal and len(head) + len(found) > out.width:
        out.print(head)
        _hanging("      ", found)
    else:
        out.print(head + Text(found))
    if mend:
        out.print(Text.assemble("      ", ("mend", "cyan"), f": {mend}"))


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A small table: numbers to the right; in a narrow terminal the last columns go below the rows.

    In a pipe nothing is moved or cut: one line a row.
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
    """The columns of a terminal that a table takes, nothing moved."""
    widths = [max(len(line[k]) for line in [columns, *rows]) for k in range(len(columns))]
    return sum(widths) + 2 * len(widths)


def room() -> int | None:
    """The width of the terminal, None in a pipe."""
    return out.width if out.is_terminal else None


def _fitting(widths: Sequence[int]) -> int:
    """How many columns have room beside each other, at least one."""
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
