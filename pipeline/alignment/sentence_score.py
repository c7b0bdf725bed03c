"""Do two takes say the same sentence, and which of many takes do."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from pipeline.alignment.features import TakeFeatures
from pipeline.alignment.kernels import percentile_where
from pipeline.alignment.types import BoolArray, FloatArray, IntArray
from pipeline.alignment.warping_path import Backend, Warp, cosine_distances, warp
from pipeline.params import Align, AlignSteps

# Score of a pair that cannot be judged: no cell where both speak.
UNJUDGED = 9.0
_SMALLEST = 1e-6


def same_sentence_score(
    distances: FloatArray, path: Warp, speech_a: BoolArray, speech_b: BoolArray
) -> float:
    """How far the path is from what the best cells of these two takes reach; low is the same.

    75th percentile of the distances on the path over the 10th percentile of the whole matrix,
    over cells where both takes speak (measured: right pairs 0.3-0.8, wrong ones from 1.05 on).

    Returns
    -------
    float in [0, 9]
        `UNJUDGED` where the two takes never speak together.
    """
    on_path = speech_a[path.cells_a] & speech_b[path.cells_b]
    if not on_path.any():
        return UNJUDGED
    reachable = percentile_where(distances, speech_a, speech_b, 10)
    return score_of(float(np.percentile(path.distances[on_path], 75)), reachable)


def score_of(typical: float, reachable: float) -> float:
    """The score from the distance that is typical of the path and the one that cells reach."""
    return float(np.clip(typical / max(reachable, _SMALLEST), 0.0, UNJUDGED))


def score_takes(a: TakeFeatures, b: TakeFeatures, weights: AlignSteps, backend: Backend) -> float:
    """The same-sentence score of two takes; their path is not kept."""
    distances = cosine_distances(a.mel, b.mel)
    path = warp(distances, weights=weights, hop_s=a.hop_s, backend=backend)
    return same_sentence_score(distances, path, a.speech, b.speech)


@dataclass(frozen=True, eq=False)
class Assignment:
    """Which column each row is matched with.

    Attributes
    ----------
    column : int32 [shape=(n_rows,)]
        Partner of each row; -1 where it has none.
    score : float64 [shape=(n_rows,)]
        Score with the partner; without one, the row's best score (NaN if it has no candidate).
    margin : float64 [shape=(n_rows,)]
        By how much the total of the scores, each less its prior's bonus, would rise if the best
        rival took the place; NaN without a partner, infinite without a rival. A rival that has a
        partner of its own must trade: of near twins that are both there, each holds the other off.
    proposed : int32 [shape=(n_rows,)]
        What the assignment proposed before it was checked; -1 where nothing.
    """

    column: IntArray
    score: FloatArray
    margin: FloatArray
    proposed: IntArray


def resolve(scores: npt.ArrayLike, prior: npt.ArrayLike, params: Align) -> Assignment:
    """Match takes of one emotion (columns) to neutral takes (rows), one to one.

    The assignment of least total score (Hungarian), where a proposal counts only if its score less
    the prior's bonus passes ``max_score`` and beats its rivals by ``min_margin``. The prior breaks
    ties and carries a weak score; it never overrules the sound by more than the bonus.

    Parameters
    ----------
    scores : float [shape=(n_rows, n_columns)], low is alike; infinite or NaN: no candidate
    prior : float in [0, 1] [shape=(n_rows, n_columns)]
    """
    score, belief = np.asarray(scores, np.float64), np.asarray(prior, np.float64)
    if score.ndim != 2 or score.shape != belief.shape:
        raise ValueError(f"scores and prior must agree, got {score.shape} and {belief.shape}")
    candidate = np.isfinite(score)
    n_rows = len(score)
    nearest = np.where(candidate, score, np.inf).min(axis=1, initial=np.inf)
    result = Assignment(
        column=np.full(n_rows, -1, np.int32),
        score=np.where(np.isfinite(nearest), nearest, np.nan),
        margin=np.full(n_rows, np.nan),
        proposed=np.full(n_rows, -1, np.int32),
    )
    total = np.where(candidate, score - params.prior_bonus * belief, np.inf)
    rows, columns = _proposals(total, params)
    result.proposed[rows] = columns
    for row, column in zip(rows, columns, strict=True):
        margin = _margin(total, params.max_score, row, column, result.proposed)
        if total[row, column] <= params.max_score and margin >= params.min_margin:
            result.column[row], result.score[row] = column, score[row, column]
            result.margin[row] = margin
    return result


def _proposals(
    total: FloatArray, params: Align
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    # A pair beyond the limit must not pull its neighbours: it costs what having no partner costs.
    capped = np.minimum(total, params.max_score)
    rows, columns = linear_sum_assignment(capped)
    kept = total[rows, columns] <= params.max_score
    return rows[kept], columns[kept]


def _margin(total: FloatArray, limit: float, row: int, column: int, proposed: IntArray) -> float:
    # What its owner pays when a rival take or row is traded away; nothing where it has none.
    capped = np.minimum(total, limit)
    along_row, along_column = total[row].copy(), total[:, column].copy()
    for other in np.flatnonzero(proposed >= 0):
        at = proposed[other]
        along_row[at] += capped[other, column] - capped[other, at]
        along_column[other] += capped[row, at] - capped[other, at]
    rivals = np.concatenate([np.delete(along_row, column), np.delete(along_column, row)])
    return float(rivals.min(initial=np.inf) - total[row, column])
