"""The aligner of the papers' public code (SCMCL), for comparison; `compat_scmcl`.

13 MFCC with log energy for the first, at the video rate, L1 distance, steps of weight 1, raw path
cells as frame pairs. The features follow python_speech_features 0.6, which that code calls.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import dct
from scipy.spatial.distance import cdist

from pipeline.alignment.types import FloatArray, IntArray
from pipeline.alignment.warping_path import Backend, warp
from pipeline.params import AlignSteps

SAMPLE_RATE = 16000
WINDOW_SAMPLES = 400
N_FFT = 512
N_FILTERS = 26
N_CEPSTRA = 13
LIFTER = 22
PRE_EMPHASIS = 0.97
SMALLEST = np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class CompatMap:
    """That aligner's result for two takes.

    Attributes
    ----------
    cells_a, cells_b : int32 [shape=(n_path,)]
        Never decreasing; cell i is frame i at the take's rate. Cells repeat.
    knots : float64 [shape=(n_knots, 2)]
        The time map in seconds of the audio, as `warping_path.Warp.knots_s`.
    """

    cells_a: IntArray
    cells_b: IntArray
    knots: FloatArray


def compat_map(
    samples_a: npt.ArrayLike,
    samples_b: npt.ArrayLike,
    *,
    fps_a: float,
    fps_b: float,
    backend: Backend,
) -> CompatMap:
    """The papers' path and time map, each take at its own video rate.

    Parameters
    ----------
    samples_a, samples_b : float [shape=(n_samples,)], mono, 16 kHz
    fps_a, fps_b : frames per second
        The papers use 30, MEAD's rate, for both.
    """
    a = compat_features(samples_a, hop_s=1 / fps_a)
    b = compat_features(samples_b, hop_s=1 / fps_b)
    path = warp(
        cdist(a, b, "cityblock"),
        weights=AlignSteps(diagonal=1.0, along_b=1.0, along_a=1.0),
        hop_s=1.0,
        backend=backend,
    )
    knots = path.knots_s / [fps_a, fps_b] + WINDOW_SAMPLES / SAMPLE_RATE / 2
    return CompatMap(path.cells_a, path.cells_b, knots)


def compat_pairs(
    samples_a: npt.ArrayLike, samples_b: npt.ArrayLike, *, fps: float, backend: Backend
) -> tuple[IntArray, IntArray]:
    """The path of `compat_map` for two takes with one rate: frame pairs with repeats.

    Returns
    -------
    frame_a, frame_b : int32 [shape=(n_path,)], non-decreasing
    """
    found = compat_map(samples_a, samples_b, fps_a=fps, fps_b=fps, backend=backend)
    return found.cells_a, found.cells_b


def compat_features(samples: npt.ArrayLike, *, hop_s: float) -> FloatArray:
    """Liftered MFCC, no normalisation [shape=(n_cells, 13)]; cell i starts at ``i * hop_s``."""
    audio = np.nan_to_num(np.asarray(samples, dtype=np.float64))
    emphasised = np.append(audio[0], audio[1:] - PRE_EMPHASIS * audio[:-1])
    windows = _windows(emphasised, round(hop_s * SAMPLE_RATE))
    power = np.abs(np.fft.rfft(windows, N_FFT)) ** 2 / N_FFT
    energy = np.maximum(power.sum(axis=1), SMALLEST)
    bands = np.maximum(power @ _filters().T, SMALLEST)
    cepstra = dct(np.log(bands), type=2, axis=1, norm="ortho")[:, :N_CEPSTRA]
    cepstra *= 1 + LIFTER / 2 * np.sin(np.pi * np.arange(N_CEPSTRA) / LIFTER)
    cepstra[:, 0] = np.log(energy)
    features: FloatArray = cepstra
    return features


def _windows(audio: FloatArray, hop_samples: int) -> FloatArray:
    more = max(0, int(np.ceil((len(audio) - WINDOW_SAMPLES) / hop_samples)))
    padded = np.pad(audio, (0, max(0, more * hop_samples + WINDOW_SAMPLES - len(audio))))
    start = hop_samples * np.arange(1 + more)[:, None]
    windows: FloatArray = padded[start + np.arange(WINDOW_SAMPLES)]
    return windows


def _filters() -> FloatArray:
    """Triangles between whole FFT bins, equally spaced in HTK mel [shape=(26, 257)]."""
    top_mel = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, top_mel, N_FILTERS + 2) / 2595) - 1)
    edges = np.floor((N_FFT + 1) * edges_hz / SAMPLE_RATE)
    bins = np.arange(N_FFT // 2 + 1)
    low, middle, high = (edges[k : k + N_FILTERS, None] for k in range(3))
    rising = (bins - low) / np.maximum(middle - low, 1)
    falling = (high - bins) / np.maximum(high - middle, 1)
    inside = (bins >= low) & (bins < high)
    triangles: FloatArray = np.where(bins < middle, rising, falling) * inside
    return triangles
