"""Clarity of a frame: the probability of its emotion, optionally relative to the neutral face.

Emotions are numbered as in `spfem_data.labels.EMOTIONS`: 0 is neutral, `NONE` is none of the seven.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

NONE = -1
NEUTRAL = 0
N_EMOTIONS = 7
_LEAST_ROOM = 0.05


def clarity(p: F64, emotion: I64, base: F64 | None = None) -> F64:
    """Clarity (n,) of each frame as its emotion; NaN for any other than the seven.

    Parameters
    ----------
    p
        (n, 7) probabilities of each frame.
    emotion
        (n,) number of the emotion that clarity is measured for, or `NONE`.
    base
        (n, 7) `neutral_base` of each frame's speaker. Clarity is then (p - base) / (1 - base), with
        a divisor of at least 0.05: 1 stays 1, and 0 is the speaker's own neutral face. Neutral
        itself has base 0. None: clarity is p.
    """
    known = emotion != NONE
    rows, columns = np.flatnonzero(known), emotion[known]
    found = np.full(len(p), np.nan)
    found[rows] = p[rows, columns]
    if base is not None:
        own = base[rows, columns]
        found[rows] = (found[rows] - own) / np.maximum(1 - own, _LEAST_ROOM)
    return found


def neutral_base(p: F64, recorded: I64, speaker: I64, n_speakers: int) -> F64:
    """Median probabilities (n_speakers, 7) of each speaker's frames recorded as neutral.

    The column of neutral is 0. NaN for a speaker without a neutral frame.
    """
    base = np.full((n_speakers, N_EMOTIONS), np.nan)
    for k in range(n_speakers):
        own = p[(speaker == k) & (recorded == NEUTRAL)]
        if len(own):
            base[k] = np.median(own, axis=0)
            base[k, NEUTRAL] = 0.0
    return base


def seen(p: F64) -> I64:
    """The most likely emotion (n,) of each frame; the first of equals."""
    return np.asarray(np.argmax(p, axis=1).astype(np.int64))


def fitted(values: F64, emotion: I64, fit: Mask, quantile: float) -> F64:
    """Threshold (7,) per emotion: the quantile of the clarity of its frames in `fit`.

    NaN for an emotion without frames in `fit`, so that no frame passes.
    """
    found = np.full(N_EMOTIONS, np.nan)
    for n in range(N_EMOTIONS):
        own = values[fit & (emotion == n) & np.isfinite(values)]
        if len(own):
            found[n] = np.quantile(own, quantile)
    return found


def passes(values: F64, emotion: I64, thresholds: F64) -> Mask:
    """Which frames (n,) are at least as clear as the threshold (7,) of their emotion."""
    limits = np.where(emotion == NONE, np.nan, thresholds[emotion])
    return np.asarray(values >= limits)


def passing_counts(values: F64, emotion: I64, grid: F64) -> I64:
    """Number of frames of each emotion at or above each value of a grid: (7, m)."""
    found = np.zeros((N_EMOTIONS, len(grid)), np.int64)
    for n in range(N_EMOTIONS):
        own = np.sort(values[(emotion == n) & np.isfinite(values)])
        found[n] = len(own) - np.searchsorted(own, grid, side="left")
    return found
