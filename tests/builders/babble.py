"""Synthetic speech-like audio: noise bursts that differ at every instant."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.params import Align, load

SAMPLE_RATE = 16000


def make_params() -> Align:
    """The default section, with the backend that runs without GPL code."""
    return load(None).align.model_copy(update={"backend": "librosa"})


def babble(syllables: int, seconds_each: float, seed: int = 0) -> npt.NDArray[np.float32]:
    """Syllables of three gliding tones each, swelling and fading; the seed is the sentence."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds_each * SAMPLE_RATE)) / SAMPLE_RATE
    parts = []
    for _ in range(syllables):
        start_hz, end_hz = rng.uniform(200, 6000, size=(2, 3, 1))
        cycles = start_hz * time_s + (end_hz - start_hz) * time_s**2 / (2 * seconds_each)
        tone = np.sin(2 * np.pi * cycles).sum(axis=0)
        parts.append(tone * (0.1 + 0.1 * np.sin(np.pi * time_s / seconds_each) ** 2))
    audio = np.concatenate(parts) + 1e-3 * rng.standard_normal(syllables * time_s.size)
    return audio.astype(np.float32)
