"""Which neutral take each take of a speaker says the same as, all emotions and levels together."""

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
"""Takes that a median must outweigh before half of it counts."""


@dataclass(frozen=True, eq=False)
class Resolved:
    """What was decided on the takes of one block.

    Attributes
    ----------
    row : int [shape=(n_takes,)]
        The neutral take of each; -1 where none.
    score, margin : float64 [shape=(n_takes,)]
        Score as measured with that take, by how much the decision beat the next best. Without one:
        the take's best score, and how far its second best is behind. NaN or infinite where there is
        nothing to compare with.
    """

    row: npt.NDArray[np.int64]
    score: FloatArray
    margin: FloatArray


def fair(score: FloatArray) -> FloatArray:
    """Scores without what a take scores with everybody.

    A whispered or noisy take is far from all others and a long vowel near to all: from each cell
    goes by how much its row's and its column's median differ from the table's, in so far as there
    are takes enough to know.
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

    First by the sound alone. Then again, with what the matches found say to each other (see
    `take_order`): they carry a weak score beside them and forbid a good one in a
    place where no sentence can be. A score worse than ``max_score + prior_bonus`` is never carried.
    """
    measured = [block.score for block in blocks]
    scores = [fair(score) for score in measured]
    blocks = [replace(block, score=score) for block, score in zip(blocks, scores, strict=True)]
    found = [resolve(score, np.zeros_like(score), params) for score in scores]
    heard = matched = [_cells(one, score) for one, score in zip(found, scores, strict=True)]
    for _ in range(_ROUNDS):
        # What the sound found alone stays a witness, or two that need each other lose each other.
        witness = [a | b for a, b in zip(heard, matched, strict=True)]
        borne = bearings(blocks, heard, witness)
        found = [_borne_out(score, b, params) for score, b in zip(scores, borne, strict=True)]
        before, matched = matched, [_cells(o, s) for o, s in zip(found, scores, strict=True)]
        if all(np.array_equal(a, b) for a, b in zip(before, matched, strict=True)):
            break
    return [_resolved(score, one) for score, one in zip(measured, found, strict=True)]


def _borne_out(score: FloatArray, bearing: Bearing, params: Align) -> Assignment:
    """The assignment where the order allows it, less what it alone would carry.

    Who is forbidden cannot be the partner, but still shows what a wrong score is here: a carried
    score must be better than all that the take and the neutral take have with unmatched ones.
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
