"""The fixtures beside the tests: tensors of published networks in small, with what they give.

`e4e_tiny_rows037` is a whole encoder of which three of the eight heads are kept (one a level): what
they give does not depend on the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

HERE = Path(__file__).resolve().parent.parent / "stylegan" / "fixtures"


def arrays(name: str, folder: Path = HERE) -> dict[str, torch.Tensor]:
    """The arrays of an npz, as tensors."""
    with np.load(folder / name) as stored:
        return {k: torch.from_numpy(stored[k]) for k in stored.files if stored[k].dtype.kind != "U"}


def off(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, in standard deviations of what is expected."""
    assert found.shape == expected.shape
    return float((found.detach() - expected).abs().max() / expected.std())


def rosinality() -> dict[str, Any]:
    """A generator as `convert_weight.py` writes it."""
    return torch.load(HERE / "ros_tiny32_converted.pt", weights_only=True)


def e4e(**opts: Any) -> dict[str, Any]:
    """An encoder with its generator, as a training run of e4e saves it (vars of its options)."""
    tensors = load_file(HERE / "e4e_tiny_rows037.safetensors")
    mean = tensors.pop("latent_avg")
    state = {f"encoder.{name}": tensor for name, tensor in tensors.items()}
    state |= {f"decoder.{name}": tensor for name, tensor in rosinality()["g_ema"].items()}
    said = {"encoder_type": "Encoder4Editing", "start_from_latent_avg": True, "device": "cuda:0"}
    return {"state_dict": state, "opts": {**said, **opts}, "latent_avg": mean}


def saved(path: Path, value: Any, **how: Any) -> Path:
    """A file as torch writes it."""
    torch.save(value, path, **how)
    return path
