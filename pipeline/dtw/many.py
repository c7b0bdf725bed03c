"""The same-sentence score for very many pairs of takes: the aligner's own, compiled.

Resolving the sentences of one MEAD speaker asks for 7,200 scores a level; through a backend of
`pipeline.dtw.path` that is a minute.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from pipeline.dtw.features import TakeFeatures
from pipeline.dtw.identity import UNJUDGED
from pipeline.dtw.path import StepWeights
from pipeline.dtw.types import FeatureArray, FloatArray

_SMALLEST = 1e-6


def score_table(
    a: list[TakeFeatures], b: list[TakeFeatures], tried: npt.ArrayLike, weights: StepWeights
) -> FloatArray:
    """`pipeline.dtw.align.same_sentence` of every two takes, within 0.001 of it.

    Parameters
    ----------
    tried : bool [shape=(len(a), len(b))]

    Returns
    -------
    float64 [shape=(len(a), len(b))]
        Infinite where not tried.
    """
    wanted = np.asarray(tried, np.bool_)
    units_a, units_b = [_unit(take.mel) for take in a], [_unit(take.mel).T for take in b]
    table = np.full((len(a), len(b)), np.inf)
    for row, column in np.argwhere(wanted):
        distances = np.float32(1) - units_a[row] @ units_b[column]
        speech = a[row].speech, b[column].speech
        table[row, column] = _score(distances, *speech, *weights.as_tuple())
    return table


def _unit(cells: FeatureArray) -> FeatureArray:
    length = np.linalg.norm(cells, axis=1, keepdims=True)
    unit: FeatureArray = cells / np.maximum(length, np.float32(1e-12))
    return unit


def _score(
    distances: FeatureArray,
    speech_a: npt.NDArray[np.bool_],
    speech_b: npt.NDArray[np.bool_],
    diagonal: float,
    along_b: float,
    along_a: float,
) -> float:
    np.maximum(distances, 0, out=distances)
    on_path = _path_distances(distances, speech_a, speech_b, diagonal, along_b, along_a)
    if not on_path.size:
        return UNJUDGED
    both = distances[speech_a][:, speech_b].ravel()
    # Of some ten thousand cells, the percentile's neighbour differs in the fifth digit.
    place = int(0.1 * (both.size - 1))
    reachable = float(np.partition(both, place)[place])
    typical = float(np.percentile(on_path, 75))
    return float(np.clip(typical / max(reachable, _SMALLEST), 0.0, UNJUDGED))


@numba.njit(cache=True)
def _path_distances(
    distances: npt.NDArray[Any],
    speech_a: npt.NDArray[Any],
    speech_b: npt.NDArray[Any],
    diagonal: float,
    along_b: float,
    along_a: float,
) -> npt.NDArray[Any]:
    """Distances of the cheapest path's cells where both takes speak, last first."""
    n, m = distances.shape
    step = np.empty((n, m), np.uint8)
    row = np.empty(m)
    row[0] = distances[0, 0]
    for j in range(1, m):
        row[j] = row[j - 1] + along_b * distances[0, j]
        step[0, j] = 1
    for i in range(1, n):
        corner = row[0]
        row[0] += along_a * distances[i, 0]
        step[i, 0] = 2
        for j in range(1, m):
            d = distances[i, j]
            best, taken = corner + diagonal * d, 0
            beside, above = row[j - 1] + along_b * d, row[j] + along_a * d
            if beside < best:
                best, taken = beside, 1
            if above < best:
                best, taken = above, 2
            corner = row[j]
            row[j] = best
            step[i, j] = taken
    found = np.empty(n + m, distances.dtype)
    count, i, j = 0, n - 1, m - 1
    while True:
        if speech_a[i] and speech_b[j]:
            found[count] = distances[i, j]
            count += 1
        if i == 0 and j == 0:
            return found[:count]
        taken = step[i, j]
        if taken != 1:
            i -= 1
        if taken != 2:
            j -= 1
