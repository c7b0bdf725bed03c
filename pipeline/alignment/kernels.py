"""Compiled loops over a matrix."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from pipeline.alignment.types import BoolArray, FloatArray

Indices = npt.NDArray[np.intp]
_BINS = 2048


def percentile_where(
    values: FloatArray, rows: BoolArray, columns: BoolArray, percent: float
) -> float:
    """`numpy.percentile(values[np.ix_(rows, columns)], percent)`, six times as fast.

    Parameters
    ----------
    values : float64 [shape=(n, m)], finite
    rows, columns : bool [shape=(n,)], [shape=(m,)], each with at least one true
    """
    return float(_percentile(np.ascontiguousarray(values), rows, columns, percent / 100))


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
    """The contiguous stretch with the largest sum: its sum (0 if none is positive), start, stop."""
    total, start, stop = _stretch(np.ascontiguousarray(weights))
    return float(total), int(start), int(stop)


@numba.njit(cache=True)
def _percentile(
    values: npt.NDArray[Any], rows: npt.NDArray[Any], columns: npt.NDArray[Any], share: float
) -> float:
    picked = np.empty(rows.sum() * columns.sum())
    at = np.flatnonzero(columns)
    n = 0
    for i in range(len(rows)):
        if rows[i]:
            for j in at:
                picked[n] = values[i, j]
                n += 1
    place = share * (n - 1)
    k = int(place)
    here, after = _in_order(picked, k), _in_order(picked, min(k + 1, n - 1))
    percentile: float = here + (place - k) * (after - here)
    return percentile


@numba.njit(cache=True)
def _in_order(values: npt.NDArray[Any], k: int) -> float:
    """The k-th smallest value, selected within its bin of a histogram, which is short."""
    least: float = values.min()
    largest: float = values.max()
    if least == largest:
        return least
    scale = (_BINS - 1) / (largest - least)
    counts = np.zeros(_BINS, np.int64)
    for value in values:
        counts[int((value - least) * scale)] += 1
    below, which = 0, 0
    while below + counts[which] <= k:
        below += counts[which]
        which += 1
    near = np.empty(counts[which])
    n = 0
    for value in values:
        if int((value - least) * scale) == which:
            near[n] = value
            n += 1
    found: float = np.sort(near)[k - below]
    return found


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
