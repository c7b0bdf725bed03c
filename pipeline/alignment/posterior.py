"""The certainty of a time map: a forward-backward pass over all warping paths.

Every path has the weight ``exp(-cost / temperature)``, and the *visits* of a cell are the share of
the weight that passes through it. This is soft-DTW (Cuturi and Blondel 2017, eq. 2) interpreted as
a probability, as in pair-HMM sequence aligners (Durbin et al. 1998, ch. 4; ProbCons 2005 for the
matching with the most expected hits).
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from pipeline.alignment.types import FloatArray
from pipeline.alignment.warping_path import Warp
from pipeline.params import AlignPosterior, AlignSteps

_LOST = 1e-9
"""Maximum difference of the logarithms of the two sums over all paths; rounding gives 1e-12."""


def visits(
    warp: Warp, distances: FloatArray, weights: AlignSteps, params: AlignPosterior
) -> FloatArray:
    """Share of the paths that pass through each cell.

    Sums are over weights, each row scaled by its largest. If the sums over all paths from the two
    ends differ by more than 1e-9, a row of the band exceeds float64's range and paths were lost;
    the sums are then over logarithms of weights, which is ten times as slow.

    Returns
    -------
    float64 [shape=(n, m)] in [0, 1]
        1 at both ends; rows and columns sum to at least 1, to more where paths run straight.
    """
    typical = float(np.median(warp.distances))
    temperature = max(params.temperature * typical, params.min_temperature)
    # Half along b and half along a, which on a diagonal stretch adds up.
    first, stop = _band(warp, max(1, round(params.band_s / 2 / warp.hop_s)))
    cells, scale = np.ascontiguousarray(distances), 1 / temperature
    entering = {w: _entering(cells, first, stop, w * scale) for w in set(weights.as_tuple())}
    steps = tuple(entering[weight] for weight in weights.as_tuple())
    share, gap = _visits(first, stop, distances.shape[1], *steps)
    if not gap < _LOST:
        share = _visits_by_logarithms(cells, first, stop, scale, *weights.as_tuple())
    return np.minimum(share, 1.0, out=share)


def _band(warp: Warp, width: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    n, m = warp.shape
    rows = np.arange(n)
    low = warp.cells_b[np.searchsorted(warp.cells_a, rows, side="left")]
    high = warp.cells_b[np.searchsorted(warp.cells_a, rows, side="right") - 1]
    # Along a as well; otherwise the band would be narrow where the path stands still.
    low = low[np.maximum(rows - width, 0)] - width
    high = high[np.minimum(rows + width, n - 1)] + width
    return np.maximum(low, 0).astype(np.int64), np.minimum(high + 1, m).astype(np.int64)


@numba.njit(cache=True)
def _entering(
    distances: npt.NDArray[Any], first: npt.NDArray[Any], stop: npt.NDArray[Any], scale: float
) -> npt.NDArray[Any]:
    """The weight of a step into each cell of the band: row i begins at cell first[i] - 1.

    The margins on both sides, and cells after the end of a shorter row, are 0.
    """
    entering = np.zeros((len(first), (stop - first).max() + 2))
    for i in range(len(first)):
        for k in range(stop[i] - first[i]):
            entering[i, k + 1] = np.exp(-scale * distances[i, first[i] + k])
    return entering


@numba.njit(cache=True, error_model="numpy")
def _visits(
    first: npt.NDArray[Any],
    stop: npt.NDArray[Any],
    m: int,
    diagonal: npt.NDArray[Any],
    along_b: npt.NDArray[Any],
    along_a: npt.NDArray[Any],
) -> tuple[npt.NDArray[Any], float]:
    """Visits, and the difference of the logarithms of the sums from the start and from the end."""
    n = len(first)
    share = np.zeros((n, m))
    ahead, sizes = _ahead(first, stop, diagonal, along_b, along_a)
    whole = np.log(ahead[n - 1, stop[n - 1] - first[n - 1]]) + sizes[n - 1]
    width = ahead.shape[1]
    # Weight of the rest of all paths from the cells of a row, and of the row below.
    rest, below = np.zeros(width), np.zeros(width)
    below_d, below_a = np.zeros(width), np.zeros(width)
    size = 0.0
    for i in range(n - 1, -1, -1):
        cells = stop[i] - first[i]
        rest[:] = 0.0
        if i == n - 1:
            rest[cells] = 1.0
        else:
            by = first[i + 1] - first[i]
            _shifted(below * diagonal[i + 1], -by, below_d)
            _shifted(below * along_a[i + 1], -by, below_a)
        for k in range(cells, 0, -1):
            rest[k] += below_d[k + 1] + below_a[k] + rest[k + 1] * along_b[i, k + 1]
        largest = rest.max()
        size += np.log(largest)
        scale = np.exp(sizes[i] + size - whole)
        for k in range(1, cells + 1):
            rest[k] /= largest
            share[i, first[i] + k - 1] = ahead[i, k] * rest[k] * scale
        below[:] = rest
    return share, abs(np.log(below[1] * diagonal[0, 1]) + size - whole)


@numba.njit(cache=True, error_model="numpy")
def _ahead(
    first: npt.NDArray[Any],
    stop: npt.NDArray[Any],
    diagonal: npt.NDArray[Any],
    along_b: npt.NDArray[Any],
    along_a: npt.NDArray[Any],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Weight of all paths to each cell divided by the largest of its row, and its logarithm."""
    n, width = diagonal.shape
    ahead, sizes = np.zeros((n, width)), np.zeros(n)
    above = np.zeros(width)
    size = 0.0
    for i in range(n):
        if i == 0:
            above[0] = 1.0  # entry to the first cell
        else:
            _shifted(ahead[i - 1], first[i] - first[i - 1], above)
        for k in range(1, stop[i] - first[i] + 1):
            ahead[i, k] = diagonal[i, k] * above[k - 1] + along_a[i, k] * above[k]
            ahead[i, k] += along_b[i, k] * ahead[i, k - 1]
        largest = ahead[i].max()
        ahead[i] /= largest
        size += np.log(largest)
        sizes[i] = size
    return ahead, sizes


@numba.njit(cache=True)
def _shifted(row: npt.NDArray[Any], by: int, into: npt.NDArray[Any]) -> None:
    """Shift a row of the band to one that begins `by` cells later."""
    for k in range(len(row)):
        into[k] = row[k + by] if 0 <= k + by < len(row) else 0.0


@numba.njit(cache=True)
def _log_sum(a: float, b: float, c: float) -> float:
    if b > a:
        a, b = b, a
    if c > a:
        a, c = c, a
    if a == -np.inf:
        return a
    total: float = a + np.log(1 + np.exp(b - a) + np.exp(c - a))
    return total


@numba.njit(cache=True)
def _visits_by_logarithms(
    distances: npt.NDArray[Any],
    first: npt.NDArray[Any],
    stop: npt.NDArray[Any],
    scale: float,
    diagonal: float,
    along_b: float,
    along_a: float,
) -> npt.NDArray[Any]:
    n, m = distances.shape
    # A margin of one row and column at the start avoids special cases at the edges.
    ahead = np.full((n + 1, m + 1), -np.inf)
    ahead[0, 0] = diagonal * distances[0, 0] * scale
    for i in range(n):
        for j in range(first[i], stop[i]):
            d = distances[i, j] * scale
            ahead[i + 1, j + 1] = _log_sum(
                ahead[i, j] - diagonal * d,
                ahead[i + 1, j] - along_b * d,
                ahead[i, j + 1] - along_a * d,
            )
    total = ahead[n, m]
    share = np.zeros((n, m))
    # Weight of the rest of all paths from a cell, including steps into the row below.
    rest_below, cost_below = np.full(m + 1, -np.inf), np.zeros(m + 1)
    for i in range(n - 1, -1, -1):
        rest, cost = np.full(m + 1, -np.inf), np.zeros(m + 1)
        for j in range(stop[i] - 1, first[i] - 1, -1):
            cost[j] = distances[i, j] * scale
            if i == n - 1 and j == m - 1:
                rest[j] = 0.0
            else:
                rest[j] = _log_sum(
                    rest_below[j + 1] - diagonal * cost_below[j + 1],
                    rest[j + 1] - along_b * cost[j + 1],
                    rest_below[j] - along_a * cost_below[j],
                )
            share[i, j] = np.exp(ahead[i + 1, j + 1] + rest[j] - total)
        rest_below, cost_below = rest, cost
    return share
