"""Voice effects: breath, tremolo, room reverberation, noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

from pipeline.demo_corpus.emotion_profiles import Tone
from pipeline.demo_corpus.rasteriser import F32

F64 = NDArray[np.float64]

_TREMOR_HZ = 6.0
_SPEECH_RMS = 0.06
_TILT_HZ = 1500.0


def _envelope(samples: F64, rate_hz: int) -> F64:
    """Amplitude envelope with zero phase (a 4 ms one-pole filter in both directions)."""
    keep = float(np.exp(-1 / (0.004 * rate_hz)))
    forward = lfilter([1 - keep], [1, -keep], np.abs(samples))
    return np.asarray(lfilter([1 - keep], [1, -keep], forward[::-1])[::-1])


def add_voice_effects(samples: F32, tone: Tone, rate_hz: int, rng: np.random.Generator) -> F32:
    """Apply spectral tilt, tremolo and breath noise. Times change by less than 0.1 ms."""
    voice = samples.astype(np.float64)
    keep = float(np.exp(-2 * np.pi * _TILT_HZ / rate_hz))
    low = lfilter([1 - keep], [1, -keep], voice)
    voice = low + (voice - low) * 10 ** (tone.tilt_db / 20)
    if tone.tremor > 0:
        phase = rng.uniform(0, 2 * np.pi)
        swing = np.cos(2 * np.pi * _TREMOR_HZ / rate_hz * np.arange(len(voice)) + phase)
        voice *= 1 - tone.tremor * (1 - swing) / 2
    band = butter(2, [1200, 7000], "bandpass", fs=rate_hz, output="sos")
    noise = sosfilt(band, rng.standard_normal(len(voice)))
    voice += 3 * tone.breath * _envelope(voice, rate_hz) * noise
    return np.asarray(voice, np.float32)


def _room(rate_hz: int, rng: np.random.Generator) -> F64:
    """Impulse response of a small room: direct audio without delay, then a few dull echoes."""
    answer = np.zeros(round(0.18 * rate_hz))
    moments = np.arange(len(answer)) / rate_hz
    tail = rng.standard_normal(len(answer)) * 10 ** (-60 * moments / 0.22 / 20)
    answer += 0.006 * lfilter([0.35], [1, -0.65], tail)
    answer[: round(0.004 * rate_hz)] = 0
    for delay_s, gain in ((0.0061, 0.14), (0.0113, -0.09), (0.0187, 0.06)):
        answer[round(delay_s * rate_hz)] += gain * rng.uniform(0.7, 1.3)
    answer[0] = 1.0
    return answer


def in_a_room(
    samples: F32,
    lead_s: float,
    total_s: float,
    gain_db: float,
    snr_db: float,
    rate_hz: int,
    rng: np.random.Generator,
) -> F32:
    """Place speech in `total_s` of room noise, beginning at `lead_s`.

    Returns mono float32, peaks below 1.
    """
    n = round(total_s * rate_hz)
    start = round(lead_s * rate_hz)
    scale = _SPEECH_RMS / float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))
    dry = samples.astype(np.float64) * scale * 10 ** (gain_db / 20)
    wet = fftconvolve(dry, _room(rate_hz, rng))
    audio = np.zeros(n)
    fit = min(n - start, len(wet))
    audio[start : start + fit] = wet[:fit]
    white = rng.standard_normal(n)
    noise = lfilter([0.06], [1, -0.94], white) * 4 + 0.25 * white
    audio += noise * (_SPEECH_RMS * 10 ** (-snr_db / 20) / noise.std())
    return np.clip(audio, -0.98, 0.98).astype(np.float32)
