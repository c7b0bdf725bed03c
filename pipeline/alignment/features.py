"""Mel features and speech mask of one take.

A *cell* is one column of the spectrogram. Windows are centred (the audio is padded by half an FFT
on both sides), so the middle of cell ``i`` is at ``i * hop_samples / sample_rate`` seconds.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import librosa
import numpy as np
import numpy.typing as npt
from scipy.ndimage import convolve1d, gaussian_filter1d, median_filter
from scipy.signal import savgol_coeffs

from pipeline.alignment.types import BoolArray, FeatureArray, FloatArray
from pipeline.params import AlignFeatures

# Power of an empty band: 100 dB below a full-scale sine.
FLOOR_POWER = 1e-10
# Keeps a constant band from being scaled up to noise.
SMALLEST_DEVIATION = 1e-3


@dataclass(frozen=True, eq=False)
class TakeFeatures:
    """Features of one take; computed once, used for every pair.

    Attributes
    ----------
    mel : float32 [shape=(n_cells, 3 * n_mels)]
    speech : bool [shape=(n_cells,)]
    hop_s : float > 0
    """

    mel: FeatureArray
    speech: BoolArray
    hop_s: float


def take_features(samples: npt.ArrayLike, params: AlignFeatures) -> TakeFeatures:
    """Features and speech mask of one take, from one spectrogram.

    Parameters
    ----------
    samples : float [shape=(n_samples,)], mono, at ``params.sample_rate``, full scale 1.0
        Values that are not finite count as silence.

    Raises
    ------
    ValueError
        If `samples` is empty or not one-dimensional.
    """
    level_db = _mel_db(_clean(samples), params)
    return TakeFeatures(_stacked(level_db, params), _speech(level_db, params), params.hop_s)


def mel_features(samples: npt.ArrayLike, params: AlignFeatures) -> FeatureArray:
    """Log-mel bands, blurred, z-scored per band over the take, with first and second deltas.

    Returns
    -------
    float32 [shape=(1 + n_samples // hop_samples, 3 * n_mels)]
        Finite for every input; all zero for digital silence.
    """
    return _stacked(_mel_db(_clean(samples), params), params)


def speech_mask(samples: npt.ArrayLike, params: AlignFeatures) -> BoolArray:
    """Whether each cell contains speech (bool [shape=(n_cells,)]).

    The threshold is between the take's own quiet and loud levels, so steady room noise is not
    speech. A take without contrast is all speech, unless it is digital silence.
    """
    return _speech(_mel_db(_clean(samples), params), params)


def _clean(samples: npt.ArrayLike) -> FeatureArray:
    audio = np.asarray(samples, dtype=np.float32)
    if audio.ndim != 1 or audio.size == 0:
        raise ValueError(f"samples must be mono and not empty, got shape {audio.shape}")
    return np.where(np.isfinite(audio), audio, np.float32(0))


@lru_cache(maxsize=8)
def _mel_bank(params: AlignFeatures) -> FeatureArray:
    bank: FeatureArray = librosa.filters.mel(
        sr=params.sample_rate,
        n_fft=params.n_fft,
        n_mels=params.n_mels,
        fmin=params.fmin_hz,
        fmax=params.fmax_hz,
    )
    return bank


def _mel_db(audio: FeatureArray, params: AlignFeatures) -> FloatArray:
    """Mel power in dB, at most `top_db` below its own maximum [shape=(n_mels, n_cells)]."""
    padded = np.pad(audio, params.n_fft // 2)
    spectrum: npt.NDArray[Any] = librosa.stft(
        padded,
        n_fft=params.n_fft,
        hop_length=params.hop_samples,
        win_length=params.window_samples,
        center=False,
    )
    power = _mel_bank(params) @ (spectrum.real**2 + spectrum.imag**2)
    level_db = 10 * np.log10(np.maximum(power.astype(np.float64), FLOOR_POWER))
    cut_db: FloatArray = np.maximum(level_db, level_db.max() - params.top_db)
    return cut_db


def _stacked(level_db: FloatArray, params: AlignFeatures) -> FeatureArray:
    bands = level_db
    if params.blur_bands:
        bands = gaussian_filter1d(bands, params.blur_bands, axis=0)
    bands = (bands - bands.mean(1, keepdims=True)) / _deviation(bands)
    parts = [bands] + [_delta(bands, params.delta_width, order) for order in (1, 2)]
    return np.ascontiguousarray(np.concatenate(parts).T, dtype=np.float32)


def _delta(bands: FloatArray, width: int, order: int) -> FloatArray:
    slope = convolve1d(bands, _slope_kernel(width, order), axis=1, mode="nearest")
    scaled: FloatArray = slope / _deviation(slope)
    return scaled


@lru_cache(maxsize=8)
def _slope_kernel(width: int, order: int) -> FloatArray:
    """The coefficients that `scipy.signal.savgol_filter` would solve for at every call."""
    kernel: FloatArray = savgol_coeffs(width, polyorder=order, deriv=order)
    return kernel


def _deviation(bands: FloatArray) -> FloatArray:
    deviation: FloatArray = bands.std(1, keepdims=True) + SMALLEST_DEVIATION
    return deviation


def _speech(level_db: FloatArray, params: AlignFeatures) -> BoolArray:
    loudness_db = 10 * np.log10((10 ** (level_db / 10)).sum(0))
    if level_db.max() <= 10 * np.log10(FLOOR_POWER):
        return np.zeros(loudness_db.size, dtype=np.bool_)
    quiet_db, loud_db = np.percentile(loudness_db, [5, 95])
    speaks = loudness_db >= quiet_db + params.speech_share * (loud_db - quiet_db)
    filled: BoolArray = median_filter(
        speaks.astype(np.uint8), params.speech_median_cells, mode="nearest"
    ).astype(np.bool_)
    return filled
