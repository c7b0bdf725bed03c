"""All pairs as one table of plain values, which the page sorts and filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pipeline.records import Pair, PosedPair
from pipeline.stages.report.measure import Accuracy


class _Facts(NamedTuple):
    """The data of one pair."""

    pair: Pair
    posed: PosedPair | None
    true_ms: float | None
    wrong: bool
    doubt: float | None


class _Column(NamedTuple):
    """A column: its header, `text` or its number of decimals, its value."""

    name: str
    kind: str
    value: Callable[[_Facts], str | float | None]


_COLUMNS = (
    _Column("doubt", "2", lambda f: f.doubt),
    _Column("speaker", "text", lambda f: f.pair.speaker),
    _Column("a", "text", lambda f: f"{f.pair.emotion_a} {f.pair.level_a}"),
    _Column("b", "text", lambda f: f"{f.pair.emotion_b} {f.pair.level_b}"),
    _Column("view", "text", lambda f: f.pair.view),
    _Column("sentence", "text", lambda f: f.pair.sentence),
    _Column("split", "text", lambda f: f.pair.split),
    _Column("frames", "0", lambda f: len(f.pair.frame_a)),
    _Column("coverage", "2", lambda f: f.pair.coverage),
    _Column("confidence", "2", lambda f: middle(f.pair.confidence)),
    _Column("claimed ms", "1", lambda f: middle(f.pair.error_ms)),
    _Column("sentence score", "2", lambda f: f.pair.sentence_score),
    _Column("extra word score", "2", lambda f: f.pair.odd_span_score),
    _Column("mouth r", "2", lambda f: f.pair.mouth_agreement),
    _Column("image a ms", "0", lambda f: f.pair.sync_a_ms),
    _Column("image b ms", "0", lambda f: f.pair.sync_b_ms),
    _Column("residual before", "3", lambda f: f.posed.residual_before if f.posed else None),
    _Column("after", "3", lambda f: f.posed.residual_after if f.posed else None),
)
_OF_TRUTH = (
    _Column("true ms (demo)", "1", lambda f: f.true_ms),
    _Column("words (demo)", "text", lambda f: "differ" if f.wrong else "same"),
)
_FILTERS = ("speaker", "a", "b", "view", "sentence", "split")
_ID = _Column("pair", "text", lambda f: f.pair.pair_id)


def middle(values: Any) -> float | None:
    """The median; None if there are no values."""
    return float(np.median(values)) if len(values) else None


@dataclass(frozen=True)
class Drawn:
    """The card of a pair: its anchor and group."""

    anchor: str
    group: str


def pair_table(
    pairs: Iterable[Pair],
    posed: Mapping[str, PosedPair],
    accuracy: Accuracy | None,
    doubt: Mapping[str, float],
    drawn: Mapping[str, Drawn],
) -> dict[str, Any]:
    """Headers with their kinds, rows with a number first and the pair id last, cards by id.

    Cards are [anchor, group]. `filters` names the columns that the page offers as filters.
    """
    columns = (*_COLUMNS, *(_OF_TRUTH if accuracy else ()), _ID)
    return {
        "columns": [["no.", "0"], *([column.name, column.kind] for column in columns)],
        "rows": [
            [n, *(_plain(column.value(_facts(pair, posed, accuracy, doubt))) for column in columns)]
            for n, pair in enumerate(pairs, start=1)
        ],
        "filters": list(_FILTERS),
        "cards": {name: [card.anchor, card.group] for name, card in drawn.items()},
    }


def _facts(
    pair: Pair,
    posed: Mapping[str, PosedPair],
    accuracy: Accuracy | None,
    doubt: Mapping[str, float],
) -> _Facts:
    error = accuracy.pairs.get(pair.pair_id) if accuracy else None
    wrong = accuracy is not None and pair.pair_id in accuracy.wrong
    true_ms = middle(error.inside_ms) if error else None
    return _Facts(pair, posed.get(pair.pair_id), true_ms, wrong, doubt.get(pair.pair_id))


def _plain(value: str | float | None) -> str | float | None:
    if not isinstance(value, float):
        return value
    return round(value, 4) + 0.0 if np.isfinite(value) else None
