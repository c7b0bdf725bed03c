"""Whether two takes say the same sentence, and which of many takes do."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from pipeline.alignment.features import TakeFeatures
from pipeline.alignment.kernels import percentile_where
from pipeline.alignment.types import BoolArray, FloatArray, IntArray
from pipeline.alignment.warping_path import Backend, Warp, cosine_distances, warp
from pipeline.params import Align, AlignSteps

# Score of a pair without common speech.
UNJUDGED = 9.0
_SMALLEST = 1e-6


def same_sentence_score(
    distances: FloatArray, path: Warp, speech_a: BoolArray, speech_b: BoolArray
) -> float:
    """Distance on the path relative to that of the best cells; lower is more similar.

    75th percentile of the distances on the path over the 10th percentile of the whole matrix,
    over cells where both takes speak (measured: correct pairs 0.3-0.8, wrong ones 1.05 and more).

    Returns
    -------
    float in [0, 9]
        `UNJUDGED` if the takes have no speech in common.
    """
    on_path = speech_a[path.cells_a] & speech_b[path.cells_b]
    if not on_path.any():
        return UNJUDGED
    reachable = percentile_where(distances, speech_a, speech_b, 10)
    return score_of(float(np.percentile(path.distances[on_path], 75)), reachable)


def score_of(typical: float, reachable: float) -> float:
    """The score from a typical distance on the path and the distance of the best cells."""
    return float(np.clip(typical / max(reachable, _SMALLEST), 0.0, UNJUDGED))


def score_takes(a: TakeFeatures, b: TakeFeatures, weights: AlignSteps, backend: Backend) -> float:
    """The same-sentence score of two takes."""
    distances = cosine_distances(a.mel, b.mel)
    path = warp(distances, weights=weights, hop_s=a.hop_s, backend=backend)
    return same_sentence_score(distances, path, a.speech, b.speech)


@dataclass(frozen=True, eq=False)
class Assignment:
    """The column that each row is matched with.

    Attributes
    ----------
    column : int32 [shape=(n_rows,)]
        Partner of each row; -1 for none.
    score : float64 [shape=(n_rows,)]
        Score with the partner; without one, the row's best score (NaN if it has no candidate).
    margin : float64 [shape=(n_rows,)]
        Increase of the total score (each reduced by its prior's bonus) if the best rival replaced
        the partner; NaN without a partner, infinite without a rival. A rival with a partner of its
        own has to trade, so two present near twins keep each other's place.
    proposed : int32 [shape=(n_rows,)]
        The assignment before limits were checked; -1 for none.
    """

    column: IntArray
    score: FloatArray
    margin: FloatArray
    proposed: IntArray


def resolve(scores: npt.ArrayLike, prior: npt.ArrayLike, params: Align) -> Assignment:
    """Match takes of one emotion (columns) to neutral takes (rows), one-to-one.

    The assignment with the smallest total score (Hungarian). A match is accepted if its score minus
    the prior's bonus is at most ``max_score`` and leads its rivals by ``min_margin``. The prior
    breaks ties and supports weak scores, by at most the bonus.

    Parameters
    ----------
    scores : float [shape=(n_rows, n_columns)], lower is more similar; infinite or NaN: no candidate
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
    # A pair above the limit must not influence others: it costs as much as having no partner.
    capped = np.minimum(total, params.max_score)
    rows, columns = linear_sum_assignment(capped)
    kept = total[rows, columns] <= params.max_score
    return rows[kept], columns[kept]


def _margin(total: FloatArray, limit: float, row: int, column: int, proposed: IntArray) -> float:
    # Cost to the owner of a rival take or row that is traded away; 0 without an owner.
    capped = np.minimum(total, limit)
    along_row, along_column = total[row].copy(), total[:, column].copy()
    for other in np.flatnonzero(proposed >= 0):
        at = proposed[other]
        along_row[at] += capped[other, column] - capped[other, at]
        along_column[other] += capped[row, at] - capped[other, at]
    rivals = np.concatenate([np.delete(along_row, column), np.delete(along_column, row)])
    return float(rivals.min(initial=np.inf) - total[row, column])
