"""How much speaks for a pair of frames: the weight of the warping paths that pass near it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.dtw.types import FloatArray


@dataclass(frozen=True, eq=False)
class Seen:
    """Running shares of the visits at each frame of a and of b, and the frames' instants."""

    from_a: FloatArray
    from_b: FloatArray
    a_s: FloatArray
    b_s: FloatArray
    hop_s: float

    def mass(
        self, a: npt.NDArray[np.intp], b: npt.NDArray[np.intp], tolerance_s: float
    ) -> FloatArray:
        """How much of the paths' weight lies within the tolerance of frame pairs (a, b).

        Returns
        -------
        float64 in [0, 1], of the joint shape of `a` and `b`
            Geometric mean of the share seen from a and the share seen from b: the first is low
            where b pauses, the second where a does.
        """
        seen_from_a = _within(self.from_a, a, self.b_s[b], tolerance_s, self.hop_s)
        seen_from_b = _within(self.from_b, b, self.a_s[a], tolerance_s, self.hop_s)
        mass: FloatArray = np.sqrt(seen_from_a * seen_from_b)
        return mass


def see(visits: FloatArray, a_s: FloatArray, b_s: FloatArray, hop_s: float) -> Seen:
    """The paths as the frames at instants `a_s` and `b_s` see them.

    Parameters
    ----------
    visits : float [shape=(n, m)], from `pipeline.dtw.posterior.visits`
    a_s, b_s : float [shape=(n_frames,)], on the clock of the take's own sound
    """
    return Seen(_at(visits, a_s, hop_s), _at(visits.T, b_s, hop_s), a_s, b_s, hop_s)


def _at(visits: FloatArray, instants_s: FloatArray, hop_s: float) -> FloatArray:
    """Running share of a row's visits, at instants between rows [shape=(n_frames, m + 1)]."""
    position = np.clip(instants_s / hop_s, 0, len(visits) - 1)
    row = np.minimum(position.astype(np.intp), max(len(visits) - 2, 0))
    after = np.minimum(row + 1, len(visits) - 1)
    part = (position - row)[:, None]
    mixed = visits[row] * (1 - part) + visits[after] * part
    running = np.cumsum(np.pad(mixed, ((0, 0), (1, 0))), axis=1)
    share: FloatArray = running / np.maximum(running[:, -1:], 1e-300)
    return share


def _within(
    running: FloatArray,
    row: npt.NDArray[np.intp],
    times_s: FloatArray,
    tolerance_s: float,
    hop_s: float,
) -> FloatArray:
    n_cells = running.shape[1] - 1

    def up_to(until_s: FloatArray) -> FloatArray:
        # Cell k covers [k - 1/2, k + 1/2] hops.
        edge = np.clip(until_s / hop_s + 0.5, 0, n_cells)
        cell = np.minimum(edge.astype(np.intp), n_cells - 1)
        part = edge - cell
        share: FloatArray = running[row, cell] * (1 - part) + running[row, cell + 1] * part
        return share

    share: FloatArray = up_to(times_s + tolerance_s) - up_to(times_s - tolerance_s)
    return np.maximum(share, 0.0)
