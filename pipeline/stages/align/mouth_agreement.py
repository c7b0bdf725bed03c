"""Whether two mouths move together along a time map: a check that uses the video only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

FloatArray = npt.NDArray[np.float64]

_STEP_S = 0.04
_SLOW_STEPS = 15
_NEAR_S = 0.06


def mouth_agreement(
    instants_a_s: FloatArray,
    open_a: FloatArray,
    instants_b_s: FloatArray,
    open_b: FloatArray,
    knots: FloatArray,
) -> float | None:
    """How well two mouth-opening curves agree along a time map, in [-1, 1].

    Both curves are sampled every 40 ms of a, over the whole map and not only at its frame pairs: a
    wrong map pairs the few frames whose audio is similar, and there the mouths are similar, too. A
    running median over 0.6 s, which follows the expression, is subtracted from each curve; the
    rest is correlated (Pearson). `benchmarks/mouth_agreement.py` compares other statistics.

    Parameters
    ----------
    instants_a_s, instants_b_s
        (n,) strictly increasing middles of the frames, each on the clock of the take's own audio.
    open_a, open_b
        (n,) openings, NaN without a face.
    knots
        (n_knots, 2) the time map on those clocks, from `alignment.warping_path.Warp.knots_s`.

    Returns
    -------
    float or None
        None where both mouths are visible for less than 0.6 s of a, or one never moves.
    """
    times_a = np.arange(knots[0, 0], knots[-1, 0], _STEP_S)
    times_b = np.interp(times_a, knots[:, 0], knots[:, 1])
    a = sample_curve(instants_a_s, open_a, times_a)
    b = sample_curve(instants_b_s, open_b, times_b)
    seen = np.isfinite(a) & np.isfinite(b)
    if seen.sum() < _SLOW_STEPS:
        return None
    quick_a, quick_b = _quick(a[seen]), _quick(b[seen])
    if quick_a.std() == 0 or quick_b.std() == 0:
        return None
    return float(np.corrcoef(quick_a, quick_b)[0, 1])


def sample_curve(instants_s: FloatArray, opening: FloatArray, times_s: FloatArray) -> FloatArray:
    """A curve at other instants, interpolated linearly; NaN 60 ms or more away from a face."""
    found = np.isfinite(opening)
    if not found.any():
        return np.full(len(times_s), np.nan)
    known, values = instants_s[found], opening[found]
    after = np.searchsorted(known, times_s).clip(0, len(known) - 1)
    before = np.maximum(after - 1, 0)
    gap = np.minimum(np.abs(known[after] - times_s), np.abs(known[before] - times_s))
    return np.where(gap <= _NEAR_S, np.interp(times_s, known, values), np.nan)


def _quick(curve: FloatArray) -> FloatArray:
    slow = median_filter(curve, _SLOW_STEPS, mode="nearest")
    return np.asarray(curve - slow, np.float64)
