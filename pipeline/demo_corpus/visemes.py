"""Mouth shapes over time, from phoneme times: jaw, lips and teeth.

Table and smoothing were tuned on English sentences. A Gaussian of 35 ms models coarticulation; lips
that press (p, b, m) have a shorter one, because they would otherwise never close at 25 fps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

if TYPE_CHECKING:
    from pipeline.demo_corpus.prosody import Reading

F64 = NDArray[np.float64]

JAW, WIDE, ROUND, PRESS, TUCK = range(5)
BILABIALS = ("p", "b", "m")
_STEP_HZ = 200
_SPEECH_SIGMA_S, _PRESS_SIGMA_S = 0.035, 0.018
_PRESS_MIN_S = 0.085

# jaw, wide, round, press, tuck (lower lip under the teeth)
_SHAPES: tuple[tuple[str, tuple[float, float, float, float, float]], ...] = (
    ("_", (0.0, 0.0, 0.0, 0.0, 0.0)),
    ("p b m", (0.02, 0.0, 0.05, 1.0, 0.0)),
    ("f v", (0.08, 0.05, 0.0, 0.0, 1.0)),
    ("T D", (0.18, 0.05, 0.0, 0.0, 0.0)),
    ("t d n t# t2 ? *", (0.18, 0.10, 0.0, 0.0, 0.0)),
    ("s z", (0.10, 0.25, 0.0, 0.0, 0.0)),
    ("S Z tS dZ", (0.12, 0.0, 0.50, 0.0, 0.0)),
    ("k g N x h C", (0.25, 0.05, 0.0, 0.0, 0.0)),
    ("r r- R", (0.18, 0.0, 0.40, 0.0, 0.0)),
    ("l L l#", (0.25, 0.10, 0.0, 0.0, 0.0)),
    ("w W", (0.12, 0.0, 0.85, 0.0, 0.0)),
    ("A A: A# a: aI aU aI@ aU@ A@", (0.95, 0.10, 0.0, 0.0, 0.0)),
    ("a aa", (0.80, 0.35, 0.0, 0.0, 0.0)),
    ("@ V 3 @2 @5 I2 a# @L", (0.55, 0.05, 0.0, 0.0, 0.0)),
    ("E e e: E: e@ eI", (0.55, 0.35, 0.0, 0.0, 0.0)),
    ("i i: i@ j", (0.25, 0.70, 0.0, 0.0, 0.0)),
    ("I I#", (0.35, 0.40, 0.0, 0.0, 0.0)),
    ("O O: o o: 0 oU OI O@ o@ O2", (0.60, 0.0, 0.55, 0.0, 0.0)),
    ("u u: U U@", (0.25, 0.0, 0.90, 0.0, 0.0)),
    ("3: 3:r", (0.35, 0.0, 0.40, 0.0, 0.0)),
)
_BY_PHONEME = {name: shape for names, shape in _SHAPES for name in names.split()}


def shape_of(phoneme: str) -> tuple[float, float, float, float, float]:
    """Return (jaw, wide, round, press, tuck) of an espeak-ng mnemonic.

    Raises
    ------
    KeyError
        When the table has neither the mnemonic nor a prefix of it.
    """
    for name in (phoneme, phoneme + ":", phoneme[:2], phoneme[:1]):
        if name in _BY_PHONEME:
            return _BY_PHONEME[name]
    raise KeyError(f"no mouth shape for the phoneme {phoneme!r}")


def press_interval_s(reading: Reading, index: int) -> tuple[float, float]:
    """The interval of closed lips for the p, b or m at `index`: from closure to burst."""
    onset, end = reading.onsets_s[index], reading.onsets_s[index + 1]
    start = min(float(reading.closures_s[index]), onset - 0.02)
    start = max(start, onset - 0.12)
    stop = end - 0.01 if reading.phonemes[index] == "m" else onset + 0.03
    return start, max(float(stop), start + _PRESS_MIN_S)


def _steps(reading: Reading) -> tuple[F64, F64]:
    """Unsmoothed shapes (n, 5) and times (n,) at 200 Hz."""
    times = (np.arange(int(reading.duration_s * _STEP_HZ) + 1)) / _STEP_HZ
    index = np.searchsorted(reading.onsets_s, times, side="right") - 1
    index = np.clip(index, 0, len(reading.phonemes) - 1)
    table = np.array([shape_of(p) for p in reading.phonemes])
    shapes = table[index]
    shapes[:, PRESS] = 0
    for k, phoneme in enumerate(reading.phonemes):
        if phoneme in BILABIALS:
            start, stop = press_interval_s(reading, k)
            shapes[(times >= start) & (times < stop), PRESS] = 1
    return shapes, times


def loudness(reading: Reading, times_s: F64) -> F64:
    """Loudness of the audio at the given times, 0..1 (1 is its 90th percentile)."""
    hop = round(len(reading.samples) / reading.duration_s / _STEP_HZ)
    n = len(reading.samples) // hop
    power = (reading.samples[: n * hop].astype(np.float64) ** 2).reshape(n, hop).mean(1)
    level = np.sqrt(gaussian_filter1d(power, 0.03 * _STEP_HZ))
    grid = (np.arange(n) + 0.5) / _STEP_HZ
    return np.clip(np.interp(times_s, grid, level / np.percentile(level, 90)), 0, 1)


def mouth_track(reading: Reading, times_s: F64) -> F64:
    """Return (n, 5) jaw, wide, round, press, tuck in 0..1 at the given times."""
    shapes, grid = _steps(reading)
    press = gaussian_filter1d(shapes[:, PRESS], _PRESS_SIGMA_S * _STEP_HZ)
    smooth = gaussian_filter1d(shapes, _SPEECH_SIGMA_S * _STEP_HZ, axis=0)
    smooth[:, PRESS] = np.clip(press / 0.55, 0, 1)
    smooth[:, JAW] *= (1 - smooth[:, PRESS]) * (0.75 + 0.25 * loudness(reading, grid))
    columns = [np.interp(times_s, grid, smooth[:, k]) for k in range(5)]
    return np.clip(np.stack(columns, axis=1), 0, 1)
