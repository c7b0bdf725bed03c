"""Why items were not used: the tables `rejected` of all stages, filtered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline.errors import REASONS, ParameterError, meant
from pipeline.runtime.tables import read_table
from pipeline.stages import STAGES

_COLUMNS = ("stage", "grain", "item", "reason", "kind", "detail")
_PAIR = "--"
"""What joins the two takes in a pair's id."""
_LISTED = "; docs/reference/reasons.md lists all reasons, spfem-data --help all stages"


@dataclass(frozen=True)
class RejectRow:
    """One rejected item; `setting` is the params.yaml key or the option that decides it, or ""."""

    stage: str
    grain: str
    item: str
    reason: str
    kind: str
    detail: str
    setting: str


def find_rejects(
    folder: Path, *, stage: str = "", item: str = "", reason: str = ""
) -> list[RejectRow]:
    """The rejected items below `data/<dataset>`, in the order of stages and items.

    Parameters
    ----------
    item
        Part of an id, or a shell pattern if it has one of `*?[`. Of a pair's id, `a--b`, rejects of
        either take match too: the pair may never have been planned.

    Raises
    ------
    ParameterError
        If the stage or the reason does not exist.
    TableError
        If a table is damaged.
    """
    _check("--stage", stage, STAGES)
    _check("--reason", reason, tuple(REASONS))
    patterns = _patterns(item)
    return [
        row
        for name in ([stage] if stage else STAGES)
        for row in _rows(folder / name / "tables" / "rejected.parquet")
        if (not reason or row.reason == reason)
        and any(fnmatchcase(row.item, pattern) for pattern in patterns)
    ]


def _check(option: str, value: str, known: Sequence[str]) -> None:
    if value and value not in known:
        raise ParameterError(f"{option} {value}: not known" + meant(value, known) + _LISTED)


def _patterns(item: str) -> list[str]:
    if any(character in item for character in "*?["):
        return [item]
    return [f"*{item}*", *(item.split(_PAIR) if _PAIR in item else ())]


def _rows(path: Path) -> Iterator[RejectRow]:
    if not path.is_file():
        return
    for row in read_table(path, columns=_COLUMNS).to_pylist():
        known = REASONS.get(row["reason"])
        yield RejectRow(**row, setting="" if known is None else known.setting)
