"""Takes whose mouth follows their audio, as late as asked."""

from __future__ import annotations

import numpy as np

from pipeline.alignment.types import FloatArray

RATE_HZ, FPS, SECONDS = 16000, 25, 4.0


def moving_mouth(seed: int, late_s: float = 0.0, noise: float = 0.0) -> tuple[FloatArray, ...]:
    """Noise whose loudness is the mouth's opening: samples, instants of frames, openings."""
    rng = np.random.default_rng(seed)
    moments = np.cumsum(rng.uniform(0.12, 0.4, 30))
    heights = rng.uniform(0.3, 1.0, 30)

    def opening(at_s: FloatArray) -> FloatArray:
        hills = heights * np.exp(-(((at_s[:, None] - moments) / 0.05) ** 2) / 2)
        return np.asarray(hills.max(axis=1))

    at_s = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    samples = opening(at_s) * rng.normal(0, 0.2, len(at_s)) + rng.normal(0, 1e-3, len(at_s))
    instants_s = (np.arange(round(SECONDS * FPS)) + 0.5) / FPS
    mouth = opening(instants_s - late_s) + noise * rng.normal(size=len(instants_s))
    return samples, instants_s, mouth
