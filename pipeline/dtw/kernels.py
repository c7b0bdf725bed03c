"""Compiled loops over a matrix."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from pipeline.dtw.path import StepWeights
from pipeline.dtw.types import FloatArray

Indices = npt.NDArray[np.intp]


def cost_only(distances: FloatArray, *, weights: StepWeights) -> float:
    """What the cheapest path costs, per cell of the longer take; the path itself is not kept.

    For telling which of many takes say the same: about 0.3 ms at 350 x 350 cells.

    Returns
    -------
    float >= 0
        Total cost, as `pipeline.dtw.path.warp` minimises it, over ``max(n, m)``.
    """
    total = float(_cost(np.ascontiguousarray(distances), *weights.as_tuple()))
    return total / max(distances.shape)


def best_chain(gain: FloatArray) -> tuple[Indices, Indices]:
    """The strictly increasing matching of rows and columns with the largest total gain.

    Parameters
    ----------
    gain : float [shape=(n, m)]
        Only cells above 0 are matched.

    Returns
    -------
    rows, columns : intp [shape=(n_pairs,)], both strictly increasing
    """
    rows, columns = _chain(np.ascontiguousarray(gain))
    return rows.astype(np.intp), columns.astype(np.intp)


def heaviest_stretch(weights: FloatArray) -> tuple[float, int, int]:
    """The contiguous stretch of the largest sum: its sum (0 if none is positive), start, stop."""
    total, start, stop = _stretch(np.ascontiguousarray(weights))
    return float(total), int(start), int(stop)


@numba.njit(cache=True)
def _cost(distances: npt.NDArray[Any], diagonal: float, along_b: float, along_a: float) -> float:
    n, m = distances.shape
    row = np.empty(m)
    row[0] = distances[0, 0]
    for j in range(1, m):
        row[j] = row[j - 1] + along_b * distances[0, j]
    for i in range(1, n):
        corner = row[0]
        row[0] += along_a * distances[i, 0]
        for j in range(1, m):
            d = distances[i, j]
            best = min(corner + diagonal * d, row[j - 1] + along_b * d, row[j] + along_a * d)
            corner = row[j]
            row[j] = best
    total: float = row[m - 1]
    return total


@numba.njit(cache=True)
def _chain(gain: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    n, m = gain.shape
    value = np.zeros((n + 1, m + 1))
    for i in range(n - 1, -1, -1):
        for j in range(m - 1, -1, -1):
            best = max(value[i + 1, j], value[i, j + 1])
            if gain[i, j] > 0:
                best = max(best, value[i + 1, j + 1] + gain[i, j])
            value[i, j] = best
    rows = np.empty(min(n, m), np.int64)
    columns = np.empty(min(n, m), np.int64)
    count, i, j = 0, 0, 0
    while i < n and j < m:
        if value[i, j] == value[i + 1, j]:
            i += 1
        elif value[i, j] == value[i, j + 1]:
            j += 1
        else:
            rows[count], columns[count] = i, j
            count, i, j = count + 1, i + 1, j + 1
    return rows[:count], columns[:count]


@numba.njit(cache=True)
def _stretch(weights: npt.NDArray[Any]) -> tuple[float, int, int]:
    best, start, stop = 0.0, 0, 0
    running, since = 0.0, 0
    for k in range(len(weights)):
        if running <= 0:
            running, since = 0.0, k
        running += weights[k]
        if running > best:
            best, start, stop = running, since, k + 1
    return best, start, stop
