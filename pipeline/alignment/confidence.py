"""Confidence of frame pairs: a calibrated logistic of the warping paths' mass and the local tempo.

The mass of a pair of frames is the weight of the paths that pass near it.
"""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from pipeline.alignment.types import FloatArray
from pipeline.params import AlignCalibration

# Larger errors are reported as the last one.
ERROR_GRID_S = np.array([0.01, 0.02, 0.03, 0.04, 0.06, 0.09, 0.13, 0.2, 0.3, 0.5])


def calibrated(mass: FloatArray, slope: FloatArray, calibration: AlignCalibration) -> FloatArray:
    """The probability that frame pairs with this mass and local tempo are aligned."""
    share = np.clip(mass, 1e-4, 1 - 1e-6)
    logit = (
        calibration.intercept
        + calibration.mass * np.log(share / (1 - share))
        + calibration.tempo * np.abs(np.log(slope))
    )
    probability: FloatArray = 1 / (1 + np.exp(-logit))
    return probability


def claimed_errors(certain: FloatArray, certainty: float) -> FloatArray:
    """Smallest error with the required certainty, interpolated linearly between grid points."""
    rising = np.maximum.accumulate(certain, axis=1)
    reached = rising >= certainty
    k = np.where(reached.any(axis=1), reached.argmax(axis=1), len(ERROR_GRID_S) - 1)
    before = np.maximum(k - 1, 0)
    pair = np.arange(len(k))
    low, high = rising[pair, before], rising[pair, k]
    part = np.clip((certainty - low) / np.maximum(high - low, 1e-12), 0, 1)
    claim: FloatArray = ERROR_GRID_S[before] + part * (ERROR_GRID_S[k] - ERROR_GRID_S[before])
    return claim


@dataclass(frozen=True, eq=False)
class Seen:
    """Cumulative shares of the visits at each frame of a and of b, and the frames' instants."""

    from_a: FloatArray
    from_b: FloatArray
    a_s: FloatArray
    b_s: FloatArray
    hop_s: float

    def mass(
        self, a: npt.NDArray[np.intp], b: npt.NDArray[np.intp], tolerances_s: FloatArray
    ) -> FloatArray:
        """The share of the paths' weight within each tolerance of frame pairs (a, b).

        Parameters
        ----------
        a, b : intp [shape=(n_pairs,)]
        tolerances_s : float [shape=(n_tolerances,)]

        Returns
        -------
        float64 in [0, 1] [shape=(n_pairs, n_tolerances)]
            Geometric mean of the share over row a and the share over column b: the first is low
            where b pauses, the second where a does.
        """
        return _mass(
            self.from_a, self.from_b, self.a_s / self.hop_s, self.b_s / self.hop_s, a, b,
            np.asarray(tolerances_s) / self.hop_s,
        )  # fmt: skip

    def mass_of_all(self, tolerance_s: float) -> FloatArray:
        """The same of every frame of a with every frame of b [shape=(n_frames, m_frames)]."""
        return _mass_of_all(
            self.from_a, self.from_b, self.a_s / self.hop_s, self.b_s / self.hop_s,
            tolerance_s / self.hop_s,
        )  # fmt: skip


def see(visits: FloatArray, a_s: FloatArray, b_s: FloatArray, hop_s: float) -> Seen:
    """The cumulative shares at the instants `a_s` and `b_s`.

    Parameters
    ----------
    visits : float [shape=(n, m)], from `pipeline.alignment.posterior.visits`
    a_s, b_s : float [shape=(n_frames,)], on the clock of the take's own audio
    """
    return Seen(_running(visits, a_s / hop_s), _running(visits.T, b_s / hop_s), a_s, b_s, hop_s)


@numba.njit(cache=True)
def _running(visits: npt.NDArray[Any], places: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Cumulative share of a row's visits, at positions between rows [shape=(n_places, m + 1)]."""
    n, m = visits.shape
    running = np.zeros((len(places), m + 1))
    for k in range(len(places)):
        place = min(max(places[k], 0.0), n - 1.0)
        row = min(int(place), max(n - 2, 0))
        after, part = min(row + 1, n - 1), place - row
        for j in range(m):
            mixed = visits[row, j] * (1 - part) + visits[after, j] * part
            running[k, j + 1] = running[k, j] + mixed
        whole = max(running[k, m], 1e-300)
        for j in range(1, m + 1):
            running[k, j] /= whole
    return running


@numba.njit(cache=True)
def _mass(
    from_a: npt.NDArray[Any],
    from_b: npt.NDArray[Any],
    places_a: npt.NDArray[Any],
    places_b: npt.NDArray[Any],
    a: npt.NDArray[Any],
    b: npt.NDArray[Any],
    reaches: npt.NDArray[Any],
) -> npt.NDArray[Any]:
    mass = np.empty((len(a), len(reaches)))
    for k in range(len(a)):
        i, j = a[k], b[k]
        for r in range(len(reaches)):
            mass[k, r] = _near(from_a[i], from_b[j], places_a[i], places_b[j], reaches[r])
    return mass


@numba.njit(cache=True)
def _mass_of_all(
    from_a: npt.NDArray[Any],
    from_b: npt.NDArray[Any],
    places_a: npt.NDArray[Any],
    places_b: npt.NDArray[Any],
    reach: float,
) -> npt.NDArray[Any]:
    mass = np.empty((len(places_a), len(places_b)))
    for i in range(len(places_a)):
        for j in range(len(places_b)):
            mass[i, j] = _near(from_a[i], from_b[j], places_a[i], places_b[j], reach)
    return mass


@numba.njit(cache=True)
def _near(
    from_a: npt.NDArray[Any], from_b: npt.NDArray[Any], place_a: float, place_b: float, reach: float
) -> float:
    seen_from_a = _within(from_a, place_b, reach)
    near: float = np.sqrt(seen_from_a * _within(from_b, place_a, reach)) if seen_from_a else 0.0
    return near


@numba.njit(cache=True)
def _within(running: npt.NDArray[Any], place: float, reach: float) -> float:
    share: float = max(_up_to(running, place + reach) - _up_to(running, place - reach), 0.0)
    return share


@numba.njit(cache=True)
def _up_to(running: npt.NDArray[Any], place: float) -> float:
    # Cell k covers [k - 1/2, k + 1/2].
    n_cells = len(running) - 1
    edge = min(max(place + 0.5, 0.0), float(n_cells))
    cell = min(int(edge), n_cells - 1)
    part = edge - cell
    share: float = running[cell] * (1 - part) + running[cell + 1] * part
    return share
