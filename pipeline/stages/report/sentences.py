"""Coverage sentence by sentence: what each emotion and level has of it, and why it has holes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.records import Clip, Rejected, Sentence
from pipeline.stages.report.coverage import Column, Coverage, takes_of
from pipeline.stages.report.inputs import Inputs

UNKNOWN = "not known"
_Cell = tuple[str, Column]


def sentence_grids(inputs: Inputs, coverage: Coverage) -> dict[str, Any]:
    """A grid a speaker for the page: sentences by (emotion, level), as plain values.

    Returns
    -------
    dict
        `columns` [emotion, level]; `reasons` all texts; `speakers` by name: `sentences` (the last
        is `UNKNOWN` where takes have none) and `cells` [row][column], each [pairs, takes] where
        there is a pair (of the anchors: a take), else [0, takes, number of the reason].
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
    """One speaker's sentences; answers what a cell holds and why it is empty."""

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
        """Pairs, takes, and the reason where the cell is a hole (else empty)."""
        own = self._utterances.get((sentence, column), [])
        made = sum(self._pairs.get(utterance, 0) for utterance in own)
        if made or (own and column[0] == "neutral"):
            return made, len(own), ""
        return 0, len(own), self._of_takes(sentence, own) if own else self._of_none(column)

    def _of_takes(self, sentence: str, own: Iterable[str]) -> str:
        counts = sum((self._why.get(utterance, Counter()) for utterance in own), Counter[str]())
        if counts:
            return ", ".join(reason.replace("_", " ") for reason, _ in counts.most_common())
        return "no pair" if sentence in self._anchored else "no neutral take says it"

    def _of_none(self, column: Column) -> str:
        """Why no take says the sentence here: none exists, some were lost, or some say another."""
        cell = self._coverage.cell(self._speaker, column)
        if not cell.takes:
            return "the corpus has no take of this emotion and level"
        lost = cell.takes - cell.clips
        unknown = len(self._utterances.get((UNKNOWN, column), []))
        if lost or unknown:
            parts = [f"{lost} lost by extract"] * bool(lost)
            parts += [f"{unknown} of no known sentence"] * bool(unknown)
            return f"no take is known to say it; of {cell.takes} here {' and '.join(parts)}"
        return "no take says it"


def _pairs(inputs: Inputs) -> Counter[str]:
    """Pairs of each utterance."""
    takes = (take for pair in inputs.pairs for take in {pair.take_a, pair.take_b})
    return Counter(inputs.clips[take].utterance_id for take in takes)


def _reasons(inputs: Inputs) -> dict[str, Counter[str]]:
    """Why utterances are in no pair, as align said it of a take, a pair or an utterance."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in inputs.rejects:
        if row.stage == "align":
            for name in _named(row, inputs.clips):
                found[name][row.reason] += 1
    return found


def _named(row: Rejected, clips: Mapping[str, Clip]) -> set[str]:
    """The utterance that a reject is about: the second of a pair, or the one named itself."""
    name = takes_of(row.item)[-1]
    return {clips[name].utterance_id if name in clips else name}
