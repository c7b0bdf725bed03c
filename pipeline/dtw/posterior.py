"""How sure the sound is of its time map: a forward-backward pass over all warping paths.

The cheapest path alone says nothing about its rivals. Here every path has the weight
``exp(-cost / temperature)``, and a cell its *visits*: the share of that weight that passes
through it. This is soft-DTW (Cuturi and Blondel 2017, eq. 2) read as a probability, as pair-HMM
aligners of sequences do (Durbin et al. 1998, ch. 4; ProbCons 2005 for the matching of most
expected hits).
"""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from pipeline.dtw.path import StepWeights, Warp
from pipeline.dtw.types import FloatArray


@dataclass(frozen=True)
class PosteriorParams:
    """``temperature`` is in units of the median distance on the path, so that noisy takes are as
    unsure as they should be; ``min_temperature`` in units of distance, for takes that are equal;
    paths beyond ``band_s`` beside the cheapest one are left out."""

    temperature: float
    min_temperature: float
    band_s: float


def visits(
    warp: Warp, distances: FloatArray, weights: StepWeights, params: PosteriorParams
) -> FloatArray:
    """Share of the paths that pass through each cell.

    Returns
    -------
    float64 [shape=(n, m)] in [0, 1]
        1 at both ends; rows and columns sum to at least 1, to more where paths run straight.
    """
    typical = float(np.median(warp.distances))
    temperature = max(params.temperature * typical, params.min_temperature)
    # Half along b and half along a, which on a diagonal stretch adds up.
    first, stop = _band(warp, max(1, round(params.band_s / 2 / warp.hop_s)))
    share = _visits(
        np.ascontiguousarray(distances), first, stop, 1 / temperature, *weights.as_tuple()
    )
    return np.minimum(share, 1.0)


def _band(warp: Warp, width: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    n, m = warp.shape
    rows = np.arange(n)
    low = warp.cells_b[np.searchsorted(warp.cells_a, rows, side="left")]
    high = warp.cells_b[np.searchsorted(warp.cells_a, rows, side="right") - 1]
    # Along a as well: else the band would hug the path where it runs straight.
    low = low[np.maximum(rows - width, 0)] - width
    high = high[np.minimum(rows + width, n - 1)] + width
    return np.maximum(low, 0).astype(np.int64), np.minimum(high + 1, m).astype(np.int64)


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
def _visits(
    distances: npt.NDArray[Any],
    first: npt.NDArray[Any],
    stop: npt.NDArray[Any],
    scale: float,
    diagonal: float,
    along_b: float,
    along_a: float,
) -> npt.NDArray[Any]:
    n, m = distances.shape
    # One row and column of margin on the low side, so that no edge needs a case of its own.
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
    # What is still to come from a cell, entering the cells of the row below included.
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
