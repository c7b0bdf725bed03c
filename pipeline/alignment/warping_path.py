"""The warping path between two takes, and its time map."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import librosa
import numba
import numpy as np
import numpy.typing as npt

from pipeline.alignment.types import FeatureArray, FloatArray, IntArray
from pipeline.params import AlignSteps

Backend = Literal["dtw-python", "librosa"]
STEPS = np.array([[1, 1], [0, 1], [1, 0]])


@dataclass(frozen=True, eq=False)
class Warp:
    """A warping path with closed ends.

    Attributes
    ----------
    cells_a, cells_b : int32 [shape=(n_path,)]
        Non-decreasing, from (0, 0) to (n - 1, m - 1), each step at most one cell.
    distances : float64 [shape=(n_path,)]
        Distance at each cell of the path.
    shape : (n, m), the cells of the two takes
    hop_s : float > 0
        Seconds per cell; the middle of cell ``i`` is at ``i * hop_s``.
    """

    cells_a: IntArray
    cells_b: IntArray
    distances: FloatArray
    shape: tuple[int, int]
    hop_s: float

    @cached_property
    def knots_s(self) -> FloatArray:
        """The time map as knots in seconds.

        A run along one axis is reduced to its mean. Collinear knots are dropped.

        Returns
        -------
        float64 [shape=(n_knots, 2)], columns a_s and b_s, both strictly increasing
            One knot where one of the takes has a single cell.
        """
        cells = np.stack([self.cells_a, self.cells_b], axis=1).astype(np.float64)
        rows = _mean_of_runs(cells, axis=0)
        knots = _mean_of_runs(rows, axis=1)
        return _without_collinear(knots) * self.hop_s


def cosine_distances(a: FeatureArray, b: FeatureArray) -> FloatArray:
    """One minus the cosine of every two cells, by one matrix product.

    Parameters
    ----------
    a, b : float [shape=(n, n_features)], [shape=(m, n_features)]

    Returns
    -------
    float64 [shape=(n, m)] in [0, 2]
        An all-zero cell is at distance 1 from every cell.
    """
    cosines = unit_cells(a) @ unit_cells(b).T
    return _distances(cosines)


@numba.njit(cache=True)
def _distances(cosines: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """In one pass; numpy needs four."""
    distances = np.empty(cosines.shape, np.float64)
    for i in range(cosines.shape[0]):
        for j in range(cosines.shape[1]):
            distances[i, j] = min(max(1.0 - cosines[i, j], 0.0), 2.0)
    return distances


def unit_cells(cells: FeatureArray) -> FeatureArray:
    """Cells [shape=(n, n_features)] scaled to length 1; all-zero cells stay 0."""
    length = np.linalg.norm(cells, axis=1, keepdims=True)
    unit: FeatureArray = cells / np.maximum(length, np.float32(1e-12))
    return unit


def warp(distances: FloatArray, *, weights: AlignSteps, hop_s: float, backend: Backend) -> Warp:
    """The cheapest path through `distances`, ends closed, no window.

    Both backends break ties alike (diagonal, along b, along a) and give equal cells. dtw-python's
    default pattern, `symmetric2`, weights the diagonal with 2, which loses up to 60 % of the frames
    on noisy takes; hence our own pattern.

    Raises
    ------
    ValueError
        If `distances` is empty or holds values that are not finite.
    """
    if distances.ndim != 2 or 0 in distances.shape or not np.isfinite(distances.sum()):
        raise ValueError(f"distances must be a finite matrix, got shape {distances.shape}")
    find = _path_dtw_python if backend == "dtw-python" else _path_librosa
    cells_a, cells_b = find(distances, weights.as_tuple())
    n, m = distances.shape
    return Warp(cells_a, cells_b, distances[cells_a, cells_b], (n, m), hop_s)


@lru_cache(maxsize=8)
def _step_pattern(weights: tuple[float, float, float]) -> Any:
    from dtw import StepPattern

    rows: list[list[float]] = []
    for number, ((da, db), weight) in enumerate(zip(STEPS.tolist(), weights, strict=True), start=1):
        rows += [[number, da, db, -1], [number, 0, 0, weight]]
    return StepPattern(np.array(rows, dtype=np.float64))


def _path_dtw_python(
    distances: FloatArray, weights: tuple[float, float, float]
) -> tuple[IntArray, IntArray]:
    # GPL, and prints a banner on import: loaded only if asked for.
    from dtw import dtw

    # Its own backtracking takes twice as long as filling the matrix.
    found = dtw(
        distances, step_pattern=_step_pattern(weights), distance_only=True, keep_internals=True
    )
    return _way_back(np.ascontiguousarray(found.directionMatrix), STEPS)


@numba.njit(cache=True)
def _way_back(
    taken: npt.NDArray[Any], steps: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Backtrack the path from the last cell; `taken` numbers the steps from 1."""
    i, j = taken.shape[0] - 1, taken.shape[1] - 1
    cells_a, cells_b = np.empty(i + j + 1, np.int32), np.empty(i + j + 1, np.int32)
    at = i + j
    cells_a[at], cells_b[at] = i, j
    while i > 0 or j > 0:
        step = taken[i, j] - 1
        i, j, at = i - steps[step, 0], j - steps[step, 1], at - 1
        cells_a[at], cells_b[at] = i, j
    return cells_a[at:].copy(), cells_b[at:].copy()


def _path_librosa(
    distances: FloatArray, weights: tuple[float, float, float]
) -> tuple[IntArray, IntArray]:
    _, path = librosa.sequence.dtw(
        C=distances, step_sizes_sigma=STEPS, weights_mul=np.array(weights), weights_add=np.zeros(3)
    )
    cells = path[::-1].astype(np.int32)
    return np.ascontiguousarray(cells[:, 0]), np.ascontiguousarray(cells[:, 1])


def _mean_of_runs(points: FloatArray, axis: int) -> FloatArray:
    """The mean of each run of points with equal values along a non-decreasing axis."""
    starts = np.flatnonzero(np.diff(points[:, axis], prepend=-1.0))
    length = np.diff(starts, append=len(points))
    means: FloatArray = np.add.reduceat(points, starts, axis=0) / length[:, None]
    return means


def _without_collinear(points: FloatArray) -> FloatArray:
    if len(points) < 3:
        return points
    step = np.diff(points, axis=0)
    bends = np.abs(step[1:, 0] * step[:-1, 1] - step[1:, 1] * step[:-1, 0]) > 1e-9
    kept: FloatArray = points[np.concatenate([[True], bends, [True]])]
    return kept


def map_times(knots: FloatArray, times_s: npt.ArrayLike) -> FloatArray:
    """Map instants of take a to take b; extrapolated with slope 1.

    Parameters
    ----------
    knots : float [shape=(n_knots, 2)], `Warp.knots_s`
        For the other direction pass ``knots[:, ::-1]``.
    times_s : float [shape=(n,)]
    """
    times = np.asarray(times_s, dtype=np.float64)
    inside = np.clip(times, knots[0, 0], knots[-1, 0])
    mapped: FloatArray = np.interp(inside, knots[:, 0], knots[:, 1]) + (times - inside)
    return mapped
