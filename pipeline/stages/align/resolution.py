"""Match a speaker's takes to neutral takes of the same sentence, over all emotions and levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipeline.alignment.sentence_score import Assignment, resolve
from pipeline.params import Align
from pipeline.stages.align.take_order import Bearing, Block, BoolArray, bearings
from pipeline.stages.align.utterances import FloatArray

_ROUNDS = 3
_SHRINK = 10.0
"""Number of takes at which half of a median deviation counts."""


@dataclass(frozen=True, eq=False)
class Resolved:
    """The matches of the takes of one block.

    Attributes
    ----------
    row : int [shape=(n_takes,)]
        The neutral take of each; -1 for none.
    score, margin : float64 [shape=(n_takes,)]
        Measured score with that take, and its lead over the next best decision. Without a match:
        the take's best score, and its lead over the second best. NaN or infinite without
        candidates.
    """

    row: npt.NDArray[np.int64]
    score: FloatArray
    margin: FloatArray


def fair(score: FloatArray) -> FloatArray:
    """Scores corrected for takes that are far from, or close to, all others.

    A whispered or noisy take is far from all others, a long vowel close to all. From each cell, the
    deviations of its row's and its column's median from the table's are subtracted, shrunk towards
    0 where there are few takes.
    """
    known = np.where(np.isfinite(score), score, np.nan)
    if np.isnan(known).all():
        return score
    centre = np.nanmedian(known)
    score_less: FloatArray = score - _effect(known, 1, centre)[:, None] - _effect(known, 0, centre)
    return score_less


def _effect(known: FloatArray, axis: int, centre: float) -> FloatArray:
    filled = np.where(np.isnan(known).all(axis=axis, keepdims=True), centre, known)
    count = (~np.isnan(known)).sum(axis=axis)
    effect: FloatArray = (np.nanmedian(filled, axis=axis) - centre) * count / (count + _SHRINK)
    return effect


def resolve_blocks(blocks: Sequence[Block], params: Align) -> list[Resolved]:
    """Assign the takes of every block to neutral takes.

    First by audio alone, then repeatedly with the evidence of the matches so far (see
    `take_order`): they support weak scores next to them and exclude good scores where that sentence
    cannot be. A score above ``max_score + prior_bonus`` is never accepted.
    """
    measured = [block.score for block in blocks]
    scores = [fair(score) for score in measured]
    blocks = [replace(block, score=score) for block, score in zip(blocks, scores, strict=True)]
    found = [resolve(score, np.zeros_like(score), params) for score in scores]
    heard = matched = [_cells(one, score) for one, score in zip(found, scores, strict=True)]
    for _ in range(_ROUNDS):
        # Matches by audio stay evidence, so that two that support each other are not both lost.
        witness = [a | b for a, b in zip(heard, matched, strict=True)]
        borne = bearings(blocks, heard, witness)
        found = [_borne_out(score, b, params) for score, b in zip(scores, borne, strict=True)]
        before, matched = matched, [_cells(o, s) for o, s in zip(found, scores, strict=True)]
        if all(np.array_equal(a, b) for a, b in zip(before, matched, strict=True)):
            break
    return [_resolved(score, one) for score, one in zip(measured, found, strict=True)]


def _borne_out(score: FloatArray, bearing: Bearing, params: Align) -> Assignment:
    """The assignment under the order of the takes, without matches that only the order supports.

    Excluded cells cannot match, but still show what a wrong score looks like: a supported score
    must be better than all scores of the two takes with unmatched ones.
    """
    allowed = np.where(bearing.forbidden, np.inf, score)
    found = resolve(allowed, bearing.support, params)
    cells = _cells(found, score)
    free_rows, free_columns = ~cells.any(axis=1), ~cells.any(axis=0)
    for row, column in np.argwhere(cells):
        total = score[row, column] - params.prior_bonus * bearing.support[row, column]
        others = np.concatenate([score[row, free_columns], score[free_rows, column]])
        if others.min(initial=np.inf) < total:
            found.column[row] = -1
    return found


def _cells(found: Assignment, score: FloatArray) -> BoolArray:
    cells = np.zeros(score.shape, np.bool_)
    rows = np.flatnonzero(found.column >= 0)
    cells[rows, found.column[rows]] = True
    return cells


def _resolved(score: FloatArray, found: Assignment) -> Resolved:
    n_takes = score.shape[1]
    row = np.full(n_takes, -1)
    nearest = np.sort(np.vstack([score, np.full((2, n_takes), np.inf)]), axis=0)[:2]
    best = np.where(np.isfinite(nearest[0]), nearest[0], np.nan)
    with np.errstate(invalid="ignore"):
        margin = nearest[1] - nearest[0]
    for anchor in np.flatnonzero(found.column >= 0):
        column = found.column[anchor]
        row[column], best[column] = anchor, score[anchor, column]
        margin[column] = found.margin[anchor]
    return Resolved(row, best, margin)
