"""Coverage by sentence: pairs of each emotion and level, and why cells are empty."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.records import Clip, Rejected, Sentence
from pipeline.stages.report.coverage import Column, Coverage, takes_of
from pipeline.stages.report.inputs import Inputs

UNKNOWN = "unknown"
_Cell = tuple[str, Column]


def sentence_grids(inputs: Inputs, coverage: Coverage) -> dict[str, Any]:
    """One grid per speaker for the page: sentences by (emotion, level), as plain values.

    Returns
    -------
    dict
        `columns` [emotion, level]; `reasons`, a list of texts; `speakers` by name: `sentences` (the
        last is `UNKNOWN` if takes have none) and `cells` [row][column], each [pairs, takes] if
        there is a pair (for neutral: a take), else [0, takes, index of the reason].
    """
    texts: dict[str, int] = {}
    grids = {}
    by_speaker: dict[str, list[Sentence]] = defaultdict(list)
    for row in inputs.sentences:
        by_speaker[row.speaker].append(row)
    pairs, why = _pairs(inputs), _reasons(inputs)
    for speaker in coverage.speakers:
        rows = by_speaker[speaker]
        names = sorted({row.sentence for row in rows if row.sentence is not None})
        if any(row.sentence is None for row in rows):
            names.append(UNKNOWN)
        grid = _Grid(speaker, rows, coverage, pairs, why)
        cells = [[_plain(grid.cell(name, c), texts) for c in coverage.columns] for name in names]
        grids[speaker] = {"sentences": names, "cells": cells}
    return {
        "columns": [list(column) for column in coverage.columns],
        "speakers": grids,
        "reasons": list(texts),
    }


def _plain(cell: tuple[int, int, str], texts: dict[str, int]) -> list[int]:
    pairs, takes, reason = cell
    return [pairs, takes, texts.setdefault(reason, len(texts))] if reason else [pairs, takes]


class _Grid:
    """One speaker's sentences: the content of a cell, or the reason why it is empty."""

    def __init__(
        self,
        speaker: str,
        rows: Iterable[Sentence],
        coverage: Coverage,
        pairs: Mapping[str, int],
        why: Mapping[str, Counter[str]],
    ) -> None:
        self._speaker, self._coverage, self._pairs, self._why = speaker, coverage, pairs, why
        self._utterances: dict[_Cell, list[str]] = defaultdict(list)
        for row in rows:
            name = UNKNOWN if row.sentence is None else row.sentence
            self._utterances[name, (row.emotion, row.level)].append(row.utterance_id)
        self._anchored = {name for (name, (emotion, _)) in self._utterances if emotion == "neutral"}

    def cell(self, sentence: str, column: Column) -> tuple[int, int, str]:
        """Pairs, takes, and the reason if the cell is empty (else "")."""
        own = self._utterances.get((sentence, column), [])
        made = sum(self._pairs.get(utterance, 0) for utterance in own)
        if made or (own and column[0] == "neutral"):
            return made, len(own), ""
        return 0, len(own), self._of_takes(sentence, own) if own else self._of_none(column)

    def _of_takes(self, sentence: str, own: Iterable[str]) -> str:
        counts = sum((self._why.get(utterance, Counter()) for utterance in own), Counter[str]())
        if counts:
            return ", ".join(reason.replace("_", " ") for reason, _ in counts.most_common())
        return "no pair" if sentence in self._anchored else "no neutral take of this sentence"

    def _of_none(self, column: Column) -> str:
        """Why no take has this sentence: no take exists, some were lost, or they have another."""
        cell = self._coverage.cell(self._speaker, column)
        if not cell.takes:
            return "the corpus has no take of this emotion and level"
        lost = cell.takes - cell.clips
        unknown = len(self._utterances.get((UNKNOWN, column), []))
        if lost or unknown:
            parts = [f"{lost} rejected by extract"] * bool(lost)
            parts += [f"{unknown} without a known sentence"] * bool(unknown)
            known = f"no take is known to have this sentence; of {cell.takes} takes"
            return f"{known}, {' and '.join(parts)}"
        return "no take has this sentence"


def _pairs(inputs: Inputs) -> Counter[str]:
    """The number of pairs of each utterance."""
    takes = (take for pair in inputs.pairs for take in {pair.take_a, pair.take_b})
    return Counter(inputs.clips[take].utterance_id for take in takes)


def _reasons(inputs: Inputs) -> dict[str, Counter[str]]:
    """The align rejects of each utterance, also those of its takes and pairs."""
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for row in inputs.rejects:
        if row.stage == "align":
            for name in _named(row, inputs.clips):
                reasons[name][row.reason] += 1
    return reasons


def _named(row: Rejected, clips: Mapping[str, Clip]) -> set[str]:
    """The utterance of a reject: take b's of a pair, or the named one."""
    name = takes_of(row.item)[-1]
    return {clips[name].utterance_id if name in clips else name}
