"""From correlations at many lags to an offset with its error, and to the offset of a session.

A correlation r over n independent samples has the log-likelihood -n/2 log(1 - r^2) of a linear
model. Likelihoods of several takes multiply, which keeps their side peaks apart from their common
one; their peaks alone would be averaged with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import convolve1d
from scipy.stats import chi2

from pipeline.alignment.types import FloatArray

LAGS_S = np.arange(-40, 41) / 100
"""Offsets that are tried, in seconds; positive: the image is late."""
_STEP_S = 0.01
_INDEPENDENT_S = 0.05
"""Length of audio that counts as one sample. Takes of filmed sessions scatter around their common
offset as their errors say with this value, those of drawn faces by half (benchmarks/sync.py)."""
_SCATTER_S = 0.02
"""Deviation of the takes of a session around its offset: half a frame."""
_PRIOR_S = 0.15
_DISAGREE = 0.99
_DENSITY_S = 0.015
_ZERO_STEP_S = 0.005


@dataclass(frozen=True)
class Offset:
    """The offset of a take or of several.

    Attributes
    ----------
    offset_s : float
        Positive: the image is late.
    error_s : float > 0
        Its standard error.
    strength : float in [-1, 1]
        Mean correlation of predicted and measured openings at the offset.
    """

    offset_s: float
    error_s: float
    strength: float


def log_likelihood(correlation: FloatArray, seconds: float) -> FloatArray:
    """Log-likelihood of each lag, up to a constant [shape=(n_lags,)].

    Smoothed by the scatter of takes around the offset of their session.
    """
    fit = np.clip(correlation, 0.0, 0.99)
    raw = -seconds / _INDEPENDENT_S / 2 * np.log(1 - fit**2)
    reach = np.arange(-8, 9) * _STEP_S
    kernel = np.exp(-((reach / _SCATTER_S) ** 2) / 2)
    likely = convolve1d(np.exp(raw - raw.max()), kernel / kernel.sum(), mode="constant")
    return np.asarray(np.log(likely + 1e-12))


def best_lag(log_likelihoods: FloatArray) -> int:
    """The index of the most likely lag under a broad prior around 0."""
    return int(np.argmax(log_likelihoods - (LAGS_S / _PRIOR_S) ** 2 / 2))


def pooled(correlation: Sequence[FloatArray], seconds: Sequence[float]) -> Offset:
    """The common offset of takes: one of the most likely for all of them together."""
    logs = [log_likelihood(r, s) for r, s in zip(correlation, seconds, strict=True)]
    total = np.sum(logs, axis=0)
    k = best_lag(total)
    likely = np.exp(total - total[k] - (LAGS_S / _PRIOR_S) ** 2 / 2)
    share = likely / likely.sum()
    error_s = np.sqrt((share * (LAGS_S - (share * LAGS_S).sum()) ** 2).sum())
    strength = np.average([r[k] for r in correlation], weights=seconds)
    return Offset(_peak_s(total, k), max(float(error_s), _STEP_S / 4), float(strength))


def _peak_s(curve: FloatArray, k: int) -> float:
    """The top of the parabola through the best lag and its neighbours."""
    if k in (0, len(curve) - 1):
        return float(LAGS_S[k])
    below, top, above = curve[k - 1 : k + 2]
    bend = below - 2 * top + above
    part = 0.0 if bend >= 0 else np.clip((below - above) / (2 * bend), -0.5, 0.5)
    return float(LAGS_S[k] + part * _STEP_S)


def agree(correlation: Sequence[FloatArray], seconds: Sequence[float]) -> bool:
    """Whether takes may share one offset: a likelihood-ratio test at 1 %."""
    if len(correlation) < 2:
        return True
    logs = [log_likelihood(r, s) for r, s in zip(correlation, seconds, strict=True)]
    lost = sum(log.max() for log in logs) - np.sum(logs, axis=0).max()
    return bool(2 * lost <= chi2.ppf(_DISAGREE, len(logs) - 1))


def commonest(offsets_s: Sequence[float], weights: Sequence[float]) -> float:
    """The offset with the most others near it, to 5 ms; 0 for none."""
    if not offsets_s:
        return 0.0
    grid = np.arange(round(LAGS_S[0] / _ZERO_STEP_S), round(LAGS_S[-1] / _ZERO_STEP_S) + 1)
    away = (grid[:, None] * _ZERO_STEP_S - np.array(offsets_s)) / _DENSITY_S
    density = np.exp(-(away**2) / 2) @ np.array(weights, np.float64)
    return float(grid[int(density.argmax())] * _ZERO_STEP_S)
