"""A program that prints what the libraries chose and a digest of what each computes, as JSON.

Its inputs are whole numbers over a power of two, which no library rounds.
"""

from __future__ import annotations

import hashlib
import json

import cv2
import numpy as np
import soxr  # type: ignore[import-untyped]
import torch
from numpy.core import _multiarray_umath as umath
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from threadpoolctl import threadpool_info
from torch.nn import functional

F64 = NDArray[np.float64]


def _numbers(*shape: int) -> F64:
    return np.random.default_rng(7).integers(-(2**15), 2**15, shape) / 2.0**15


def _sha256(values: NDArray[np.generic]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]


def _chosen() -> dict[str, object]:
    pools = [p for p in threadpool_info() if p["internal_api"] == "openblas"]
    return {
        "openblas": sorted({p["architecture"] for p in pools if p["version"]}),
        "threads": max(p["num_threads"] for p in threadpool_info()),
        "ipp": cv2.ipp.getIppVersion().partition(" 20")[0],
        "torch": torch.backends.cpu.get_cpu_capability(),
        "numpy": [n for n in umath.__cpu_dispatch__ if umath.__cpu_features__[n]],
    }


def _unaligned(values: F64) -> torch.Tensor:
    """The numbers as float32, 4 bytes off any boundary of 8."""
    room = torch.empty(values.size + 1)
    return room[1:].copy_(torch.from_numpy(values.ravel())).view(*values.shape)


def _computed() -> dict[str, str]:
    codes, seen = _numbers(96, 1536), _numbers(56, 80)
    image = np.abs(_numbers(128, 128, 3) * 256).astype(np.uint8)
    layer, weight = torch.from_numpy(_numbers(1, 128)).float(), _numbers(96, 128)
    ridge = RidgeCV(alphas=np.logspace(-6, 1, 15), fit_intercept=False)
    found = {
        "gram": codes @ codes.T,
        "logarithm": np.log(1 + np.abs(codes)),
        "readout": ridge.fit(seen, codes[:56, :3]).coef_,
        "enlarged": cv2.resize(image, (256, 256), interpolation=cv2.INTER_CUBIC),
        "reduced": cv2.resize(image, (112, 112), interpolation=cv2.INTER_LINEAR),
        "linear": functional.linear(layer, torch.from_numpy(weight).float()).numpy(),
        "linear_unaligned": functional.linear(layer, _unaligned(weight)).numpy(),
        "exponential": torch.from_numpy(codes).float().exp().numpy(),
        "resampled": soxr.resample(codes.ravel().astype(np.float32), 48_000, 16_000, quality="HQ"),
    }
    return {name: _sha256(value) for name, value in found.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({"chosen": _chosen(), "computed": _computed()}))
