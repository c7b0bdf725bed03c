"""Sounds made here: noise bursts whose pattern is unlike at every instant."""

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.alignment.align import AlignParams
from pipeline.alignment.confidence import Calibration
from pipeline.alignment.features import FeatureParams
from pipeline.alignment.frame_pairs import FrameParams
from pipeline.alignment.posterior import PosteriorParams
from pipeline.alignment.warping_path import StepWeights
from pipeline.alignment.word_mismatch import SpanParams

SAMPLE_RATE = 16000


def make_params() -> AlignParams:
    return AlignParams(
        features=FeatureParams(
            sample_rate=SAMPLE_RATE,
            n_fft=512,
            window_samples=400,
            hop_samples=160,
            n_mels=40,
            fmin_hz=50.0,
            fmax_hz=8000.0,
            top_db=80.0,
            blur_bands=1.0,
            delta_width=5,
            speech_share=0.2,
            speech_median_cells=7,
        ),
        steps=StepWeights(diagonal=1.5, along_b=1.0, along_a=1.0),
        backend="librosa",
        posterior=PosteriorParams(temperature=1.6, min_temperature=0.05, band_s=0.5),
        frames=FrameParams(
            tolerance_s=0.04,
            min_confidence=0.85,
            certainty=0.99,
            slope_half_s=0.1,
            contrast_offset_s=0.07,
            calibration=Calibration(intercept=1.07, mass=1.10, tempo=-2.48),
        ),
        spans=SpanParams(
            limit_s=0.26,
            twice_limit=0.64,
            distance_cap=0.6,
            mend_fee=0.3,
            speech_margin_s=0.02,
            twice_min_s=0.13,
            twice_max_s=0.42,
            twice_beside_s=0.03,
            twice_speech=0.3,
        ),
    )


@pytest.fixture
def params() -> AlignParams:
    return make_params()


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
    sound = np.concatenate(parts) + 1e-3 * rng.standard_normal(syllables * time_s.size)
    return sound.astype(np.float32)
