"""The inventory on one screen: speakers by emotions, and one row per kind of problem."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from pipeline.corpora.inventory import KINDS, Cell, Hole, Inventory, emotion_order
from pipeline.corpora.naming import ranges

Table = tuple[str, list[str], list[list[str]]]
_HOLED = "*"
_NONE = "-"
_INCOMPLETE = ("gap", "no_level")
_NAMED = 3
"""Places that are named per kind of problem; of more, their number is shown."""


def overview(found: Inventory, *, by_level: bool = True) -> list[Table]:
    """The tables to show: (title, columns, rows of text); empty ones are left out.

    A cell of the table is the number of takes, by level in ascending order if an emotion has
    several: `0/6`. Without `by_level` it is their sum and emotions are shortened to three letters,
    for narrow terminals. A star marks cells that lack takes promised by the numbering or the
    release. Views of a speaker with equal counts share a row.
    """
    rejects = [[reason, str(count), example] for reason, count, example in found.rejects]
    rejected: Table = ("rejected", ["reason", "files", "for example"], rejects)
    tables = [_matrix(found, by_level=by_level), _holes(found.holes), rejected]
    return [table for table in tables if table[2]]


def as_json(found: Inventory) -> dict[str, object]:
    """The inventory as JSON: every cell, every problem, rejects by reason."""
    rejects = [
        {"reason": reason, "files": count, "example": example}
        for reason, count, example in found.rejects
    ]
    return {
        "takes": sum(cell.takes for cell in found.cells),
        "cells": [vars(cell) for cell in found.cells],
        "holes": [vars(hole) for hole in found.holes],
        "rejects": rejects,
    }


def _matrix(found: Inventory, *, by_level: bool) -> Table:
    emotions = sorted({cell.emotion for cell in found.cells}, key=emotion_order)
    levels = _levels(found.cells)
    held: dict[tuple[str, str], Counter[tuple[str, int]]] = defaultdict(Counter)
    for cell in found.cells:
        held[cell.speaker, cell.view][cell.emotion, cell.level] += cell.takes
    holed, rows = _holed(found.holes), []
    for speaker, of_speaker in groupby(sorted(held), key=itemgetter(0)):
        for together, counts in _alike([(key[1], held[key]) for key in of_speaker]):
            cells = []
            for emotion in emotions:
                several = [counts[emotion, level] for level in levels[emotion]]
                several = several if by_level else [sum(several)]
                cells.append(_cell(several, (speaker, emotion) in holed))
            rows.append([speaker, together, *cells, str(counts.total())])
    names = emotions if by_level else [emotion[:3] for emotion in emotions]
    columns = ["speaker", "view", *names, "all"]
    if len({cell.view for cell in found.cells}) == 1:
        columns, rows = [columns[0], *columns[2:]], [[row[0], *row[2:]] for row in rows]
    return _title(found, levels if by_level else {}), columns, rows


def _levels(cells: Iterable[Cell]) -> dict[str, list[int]]:
    """The levels of each emotion: level 1 if it has no other, else all levels of the corpus."""
    known: dict[str, set[int]] = defaultdict(set)
    for cell in cells:
        known[cell.emotion].add(cell.level)
    everywhere = sorted(set().union(*known.values()))
    return {emotion: [1] if of == {1} else everywhere for emotion, of in known.items()}


def _title(found: Inventory, levels: dict[str, list[int]]) -> str:
    takes = sum(cell.takes for cell in found.cells)
    speakers = len({cell.speaker for cell in found.cells})
    views = sorted({cell.view for cell in found.cells})
    title = f"{takes} takes of {speakers} speakers"
    title += f", {views[0]} view" if len(views) == 1 else f", {len(views)} views"
    if any(len(of) > 1 for of in levels.values()):
        several = sorted({level for of in levels.values() for level in of if len(of) > 1})
        title += f"; levels {'/'.join(map(str, several))}"
    return title + (f"; {_HOLED} incomplete" if _holed(found.holes) else "")


def _cell(counts: Sequence[int], is_holed: bool) -> str:
    if not sum(counts):
        return _NONE
    return "/".join(map(str, counts)) + (_HOLED if is_holed else "")


def _holed(holes: Iterable[Hole]) -> set[tuple[str, str]]:
    """(speaker, emotion) with missing takes or levels."""
    found = set()
    for hole in holes:
        if hole.kind == "gap":
            found.add((hole.speaker, hole.where.split(" ")[0]))
        elif hole.kind == "no_level":
            cells = hole.detail.split(", ") if hole.detail else [hole.where]
            found |= {(hole.speaker, cell.split(" ")[0]) for cell in cells}
    return found


def _alike(
    views: Sequence[tuple[str, Counter[tuple[str, int]]]],
) -> list[tuple[str, Counter[tuple[str, int]]]]:
    """Views with equal counts as one, in the order of the first of each."""
    groups: list[tuple[list[str], Counter[tuple[str, int]]]] = []
    for view, counts in views:
        for names, known in groups:
            if known == counts:
                names.append(view)
                break
        else:
            groups.append(([view], counts))
    return [(", ".join(names), counts) for names, counts in groups]


def _holes(holes: Sequence[Hole]) -> Table:
    """One row per kind: count, speakers, and places unless the main table marks them."""
    rows = []
    for kind in KINDS:
        of_kind = [hole for hole in holes if hole.kind == kind]
        if of_kind:
            speakers = _speakers({hole.speaker for hole in of_kind if hole.speaker})
            count = str(sum(hole.count for hole in of_kind))
            rows.append([kind, count, _where(kind, of_kind), speakers, KINDS[kind]])
    return "missing or odd", ["kind", "count", "which", "speakers", "meaning"], rows


def _where(kind: str, holes: Sequence[Hole]) -> str:
    if kind in _INCOMPLETE:
        return ""
    named = {hole.detail if kind == "no_emotion" else hole.where for hole in holes}
    return ", ".join(sorted(named)) if len(named) <= _NAMED else f"{len(named)} places"


def _speakers(names: set[str]) -> str:
    """Names as short text; `Actor_01` to `Actor_24` as one range, `M003, W011` one by one."""
    heads = defaultdict(list)
    for name in sorted(names):
        digits = len(name) - len(name.rstrip("0123456789"))
        heads[name[: len(name) - digits]].append(name[len(name) - digits :])
    return "; ".join(
        ", ".join(f"{head}{text}" for text in ranges(numbers).split(", "))
        for head, numbers in heads.items()
    )
