"""Audio that is speech to the aligner: a seed is a sentence, the tempo how it is said."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RATE_HZ = 16_000
_SYLLABLES = 14


def speak(
    sentence: int, tempo: float = 1.0, pitch_hz: float = 120.0, lead_s: float = 0.2
) -> npt.NDArray[np.float32]:
    """A buzz through a chain of random formants, `_SYLLABLES` of them, with quiet ends.

    `tempo` above 1 is faster; sentence and nothing else decides the chain of formants.
    """
    rng = np.random.default_rng(sentence)
    noise = np.random.default_rng(int(1000 * tempo + pitch_hz))
    parts = [noise.normal(0, 1e-4, int(lead_s * RATE_HZ))]
    for _ in range(_SYLLABLES):
        length = int(rng.uniform(0.08, 0.22) / tempo * RATE_HZ)
        formants, gain = rng.uniform(300, 3800, 3), rng.uniform(0.3, 1.0)
        time_s = np.arange(length) / RATE_HZ
        harmonics = pitch_hz * np.arange(1, int(4000 / pitch_hz))
        weights = np.exp(-(((harmonics[:, None] - formants) / 180) ** 2)).sum(1)
        voice = (weights[:, None] * np.sin(2 * np.pi * harmonics[:, None] * time_s)).sum(0)
        parts.append(gain * voice * np.hanning(length) + noise.normal(0, 1e-4, length))
    parts.append(noise.normal(0, 1e-4, int(lead_s * RATE_HZ)))
    audio = np.concatenate(parts)
    return (0.5 * audio / np.abs(audio).max()).astype(np.float32)
