"""Coverage: takes and pairs by speaker, emotion and level, and why cells are empty."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.records import CORPUS_EMOTIONS, Clip, Pair, Rejected
from pipeline.stages.report.inputs import Inputs

_TAKE_ID = re.compile(rf"([^_/]+)_({'|'.join(CORPUS_EMOTIONS)})_(\d+)_")
"""Take ids of every corpus begin with speaker, emotion and level."""
_COUNTED = ("extract", "align")
"""The stages that decide how many pairs a cell has. Later stages reject frames, not pairs."""
PAIR_JOINT = "--"

Column = tuple[str, int]


@dataclass
class Cell:
    """One speaker, emotion and level.

    `takes` are all that the corpus names, `clips` those extracted, `pairs` those in which these
    takes are take b (for neutral: take a). `reasons` counts what extract and align rejected;
    `sentences` are those of the pairs.
    """

    takes: int = 0
    clips: int = 0
    pairs: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    sentences: set[str] = field(default_factory=set)

    @property
    def why(self) -> str:
        """The reject reasons with their counts, most frequent first."""
        if not self.takes:
            return "the corpus has no such take"
        order = sorted(self.reasons.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{reason.replace('_', ' ')} {n}" for reason, n in order)


@dataclass(frozen=True)
class Coverage:
    """The matrix of speakers by (emotion, level), in the project's order of emotions."""

    speakers: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: Mapping[tuple[str, Column], Cell]
    most_pairs: int

    def cell(self, speaker: str, column: Column) -> Cell:
        """The cell of a speaker, empty where the corpus has no such take."""
        return self.cells.get((speaker, column), Cell())

    @property
    def emotions(self) -> list[tuple[str, int]]:
        """Emotions in order, each with the number of columns that it spans."""
        spans = Counter(emotion for emotion, _ in self.columns)
        return [(emotion, spans[emotion]) for emotion in CORPUS_EMOTIONS if emotion in spans]

    @property
    def n_holes(self) -> int:
        """Cells without a pair."""
        return sum(
            not self.cell(speaker, column).pairs
            for speaker in self.speakers
            for column in self.columns
        )


def coverage(inputs: Inputs) -> Coverage:
    """Count takes, clips, pairs and rejects of each cell."""
    cells: dict[tuple[str, Column], Cell] = defaultdict(Cell)
    for clip in inputs.clips.values():
        cell = cells[_place(clip)]
        cell.takes += 1
        cell.clips += 1
    _count_pairs(cells, inputs.pairs, inputs.clips)
    counted = [row for row in inputs.rejects if row.stage in _COUNTED]
    _count_rejects(cells, counted, inputs.clips)
    speakers = tuple(sorted({speaker for speaker, _ in cells}))
    columns = sorted(
        {column for _, column in cells}, key=lambda c: (CORPUS_EMOTIONS.index(c[0]), c[1])
    )
    most = max((cell.pairs for (_, (e, _)), cell in cells.items() if e != "neutral"), default=0)
    return Coverage(speakers, tuple(columns), dict(cells), most)


def _place(clip: Clip) -> tuple[str, Column]:
    return clip.speaker, (clip.emotion, clip.level)


def _count_pairs(
    cells: dict[tuple[str, Column], Cell], pairs: Iterable[Pair], clips: Mapping[str, Clip]
) -> None:
    for pair in pairs:
        for take in (pair.take_a, pair.take_b):
            cell = cells[_place(clips[take])]
            cell.pairs += 1
            cell.sentences.add(pair.sentence)


def _count_rejects(
    cells: dict[tuple[str, Column], Cell], rejects: Iterable[Rejected], clips: Mapping[str, Clip]
) -> None:
    by_utterance = {clip.utterance_id: clip for clip in clips.values()}
    for row in rejects:
        named = takes_of(row.item)[-1]
        clip = clips.get(named) or by_utterance.get(named)
        if clip is not None:
            cells[_place(clip)].reasons[row.reason] += 1
            continue
        parts = _TAKE_ID.match(row.item)
        if parts and row.stage == "extract":
            cell = cells[parts[1], (parts[2], int(parts[3]))]
            cell.takes += 1
            cell.reasons[row.reason] += 1


def takes_of(item: str) -> list[str]:
    """The take ids that a reject's item may name, a pair's take b last."""
    return item.split("/")[-1].split(PAIR_JOINT)
