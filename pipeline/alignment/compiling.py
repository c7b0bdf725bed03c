"""Compile the aligner's kernels once per installation, before workers need them.

Numba caches compiled code next to the source (or in `NUMBA_CACHE_DIR`). Otherwise each worker of a
fresh checkout would compile the same code for most of a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np

from pipeline.alignment import (
    batched_scores,
    confidence,
    kernels,
    posterior,
    warping_path,
    word_mismatch,
)
from pipeline.alignment.align import align, pair_frames
from pipeline.alignment.features import TakeFeatures, take_features
from pipeline.params import Align

_MODULES = (kernels, batched_scores, confidence, warping_path, posterior, word_mismatch)
_SECONDS, _FPS = 1.5, 25.0


def is_compiled() -> bool:
    """Whether numba's cache has kernels of every module, newer than their source.

    If this is wrong, kernels are compiled where they are needed.
    """
    return all(any(_cached(module)) for module in _MODULES)


def compile_kernels(params: Align) -> None:
    """Compile all kernels, by aligning two synthetic takes."""
    a, b = (_take(seed, params) for seed in (0, 1))
    batched_scores.score_table([a], [b], [[True]], params.steps)
    alignment = align(a, b, params)
    instants_s = (np.arange(int(_SECONDS * _FPS)) + 0.5) / _FPS
    pair_frames(alignment, instants_s, instants_s, params)


def _cached(module: ModuleType) -> Iterator[Path]:
    source = Path(str(module.__file__))
    written = source.stat().st_mtime
    for kernel in vars(module).values():
        if hasattr(kernel, "py_func"):
            folder = Path(kernel.stats.cache_path)
            for file in folder.glob(f"{source.stem}.{kernel.__name__}-*.nbi"):
                if file.stat().st_mtime >= written:
                    yield file


def _take(seed: int, params: Align) -> TakeFeatures:
    """Noise with a speech-like envelope, the same for every seed."""
    rate = params.features.sample_rate
    time_s = np.arange(int(_SECONDS * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal(len(time_s))
    swell = np.sin(2 * np.pi * 3 * time_s) ** 2 * (time_s > _SECONDS / 5)
    return take_features((0.1 * noise * swell).astype(np.float32), params.features)
