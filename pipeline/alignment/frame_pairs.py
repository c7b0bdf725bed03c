"""From a time map to frame pairs: one-to-one, strictly increasing, each with a confidence.

The evidence for a pair of frames is its *mass*: the share of the warping paths that pass within the
tolerance of it, over the row of a and over the column of b (geometric mean). A calibrated logistic
maps the mass and the deviation of the local tempo from 1 to a probability. Of all strictly
increasing matchings, the one with the largest sum of (probability - minimum confidence) is chosen.
Pauses therefore drop out, and a frame whose best partner is taken gets the next one only if that is
still within the tolerance.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.alignment.confidence import (
    ERROR_GRID_S,
    Seen,
    calibrated,
    claimed_errors,
    see,
)
from pipeline.alignment.kernels import best_chain
from pipeline.alignment.types import BoolArray, FloatArray, IntArray
from pipeline.alignment.warping_path import Warp, map_times
from pipeline.params import AlignFrames


@dataclass(frozen=True, eq=False)
class FrameMap:
    """Frame pairs of two takes; all arrays of one length, in the order of time.

    Attributes
    ----------
    frame_a, frame_b : int32, both strictly increasing (never decreasing from `measure_pairs`)
    residual_s : float64
        Instant of frame b minus the mapped instant of frame a: the rounding error.
    error_s : float64 in [0.01, 0.5]
        Claimed maximum of the alignment error, true with probability ``certainty``. 0.5 means 0.5
        or more.
    confidence : float64 in [0, 1]
        Probability that the pair is aligned within ``tolerance_s``, given the same sentence.
    run_s : float64 >= 0
        Longest standstill of the path at either frame: a pause, or a word that only one take has.
    slope : float64 > 0
        Local tempo of b against a (2: b is twice as slow).
    contrast : float64
        Distance next to the path minus distance on it: low where the audio is uninformative.
    """

    frame_a: IntArray
    frame_b: IntArray
    residual_s: FloatArray
    error_s: FloatArray
    confidence: FloatArray
    run_s: FloatArray
    slope: FloatArray
    contrast: FloatArray

    def __len__(self) -> int:
        return len(self.frame_a)

    def take(self, keep: BoolArray) -> "FrameMap":
        """The pairs where `keep` (bool [shape=(n_pairs,)]) holds."""
        return FrameMap(**{name: column[keep] for name, column in vars(self).items()})


def frame_pairs(
    warp: Warp,
    distances: FloatArray,
    visits: FloatArray,
    instants_a_s: npt.ArrayLike,
    instants_b_s: npt.ArrayLike,
    params: AlignFrames,
) -> FrameMap:
    """Pair the frames of two takes by their audio.

    Parameters
    ----------
    warp, distances : the path and its distance matrix
    visits : float [shape=(n, m)], from `pipeline.alignment.posterior.visits`
    instants_a_s, instants_b_s : float [shape=(n_frames,)], strictly increasing
        Presentation-time middles of the frames, on the clock of the take's own audio (its first
        sample is at 0). Frames outside the audio are not paired.
    params : AlignFrames

    Returns
    -------
    FrameMap
        Indices into the two arrays of instants; empty if no frames can be paired.

    Raises
    ------
    ValueError
        If instants are not finite and strictly increasing.
    """
    sight = _sight(warp, visits, instants_a_s, instants_b_s, params)
    mass = sight.seen.mass_of_all(params.tolerance_s)
    likely = calibrated(mass, sight.slope[:, None], params.calibration)
    a, b = best_chain(likely - params.min_confidence)
    return _measured(sight, warp, distances, a, b, params)


def measure_pairs(
    warp: Warp,
    distances: FloatArray,
    visits: FloatArray,
    instants_a_s: npt.ArrayLike,
    instants_b_s: npt.ArrayLike,
    frame_a: npt.ArrayLike,
    frame_b: npt.ArrayLike,
    params: AlignFrames,
) -> FrameMap:
    """Rate the frame pairs of another aligner by our path and posterior; no minimum confidence.

    Parameters
    ----------
    frame_a, frame_b : int [shape=(n_pairs,)]
        Indices into the instants, non-decreasing; other parameters as in `frame_pairs`.

    Returns
    -------
    FrameMap
        The pairs with both frames inside the audio, in the order given; frames may repeat.
    """
    sight = _sight(warp, visits, instants_a_s, instants_b_s, params)
    given_a, given_b = np.asarray(frame_a, np.intp), np.asarray(frame_b, np.intp)
    heard = np.isin(given_a, sight.inside_a) & np.isin(given_b, sight.inside_b)
    a = np.searchsorted(sight.inside_a, given_a[heard])
    b = np.searchsorted(sight.inside_b, given_b[heard])
    return _measured(sight, warp, distances, a, b, params)


@dataclass(frozen=True, eq=False)
class _Sight:
    """The frames inside the audio: indices, instants, tempo at each of a, cumulative shares."""

    inside_a: npt.NDArray[np.intp]
    inside_b: npt.NDArray[np.intp]
    a_s: FloatArray
    b_s: FloatArray
    slope: FloatArray
    seen: Seen


def _sight(
    warp: Warp,
    visits: FloatArray,
    instants_a_s: npt.ArrayLike,
    instants_b_s: npt.ArrayLike,
    params: AlignFrames,
) -> _Sight:
    a_s, b_s = _checked(instants_a_s), _checked(instants_b_s)
    inside_a = np.flatnonzero(_inside(a_s, warp.shape[0], warp.hop_s))
    inside_b = np.flatnonzero(_inside(b_s, warp.shape[1], warp.hop_s))
    a_s, b_s = a_s[inside_a], b_s[inside_b]
    slope = _slopes(warp.knots_s, a_s, params.slope_half_s)
    return _Sight(inside_a, inside_b, a_s, b_s, slope, see(visits, a_s, b_s, warp.hop_s))


def _measured(
    sight: _Sight,
    warp: Warp,
    distances: FloatArray,
    a: npt.NDArray[np.intp],
    b: npt.NDArray[np.intp],
    params: AlignFrames,
) -> FrameMap:
    a_s, b_s, slope = sight.a_s[a], sight.b_s[b], sight.slope[a]
    nearer = sight.seen.mass(a, b, np.append(ERROR_GRID_S, params.tolerance_s))
    likely = calibrated(nearer, slope[:, None], params.calibration)
    return FrameMap(
        frame_a=sight.inside_a[a].astype(np.int32),
        frame_b=sight.inside_b[b].astype(np.int32),
        residual_s=b_s - map_times(warp.knots_s, a_s),
        error_s=claimed_errors(likely[:, :-1], params.certainty),
        confidence=likely[:, -1],
        run_s=np.maximum(_runs(warp.cells_a, a_s, warp), _runs(warp.cells_b, b_s, warp)),
        slope=slope,
        contrast=_contrast(warp, distances, a_s, params.contrast_offset_s),
    )


def _checked(instants_s: npt.ArrayLike) -> FloatArray:
    instants = np.asarray(instants_s, dtype=np.float64)
    if instants.ndim != 1 or not np.isfinite(instants).all() or (np.diff(instants) <= 0).any():
        raise ValueError("instants must be finite and strictly increasing")
    return instants


def _inside(instants_s: FloatArray, n_cells: int, hop_s: float) -> BoolArray:
    inside: BoolArray = (instants_s >= 0) & (instants_s <= n_cells * hop_s)
    return inside


def _slopes(knots: FloatArray, instants_s: FloatArray, half_s: float) -> FloatArray:
    ahead, behind = (map_times(knots, instants_s + side) for side in (half_s, -half_s))
    # A stretch of a that b lacks has slope 0; 1/50 keeps logarithms finite.
    slope: FloatArray = np.maximum((ahead - behind) / (2 * half_s), 0.02)
    return slope


def _runs(cells: IntArray, instants_s: FloatArray, warp: Warp) -> FloatArray:
    length = np.bincount(cells)
    middle = np.round(instants_s / warp.hop_s).astype(np.intp)
    near = np.clip(middle[:, None] + np.arange(-1, 2), 0, len(length) - 1)
    longest: FloatArray = (length[near].max(axis=1) - 1) * warp.hop_s
    return longest


def _contrast(
    warp: Warp, distances: FloatArray, instants_s: FloatArray, offset_s: float
) -> FloatArray:
    n, m = warp.shape
    row = np.clip(np.round(instants_s / warp.hop_s).astype(np.intp), 0, n - 1)
    first = np.searchsorted(warp.cells_a, row, side="left")
    last = np.searchsorted(warp.cells_a, row, side="right") - 1
    middle = (warp.cells_b[first] + warp.cells_b[last]) // 2
    offset = max(1, round(offset_s / warp.hop_s))
    beside = [distances[row, np.clip(middle + k, 0, m - 1)] for k in (-offset, offset)]
    contrast: FloatArray = np.mean(beside, axis=0) - distances[row, middle]
    return contrast
