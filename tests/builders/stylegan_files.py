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
from torch import Tensor
from torch.nn import functional

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


def upfirdn2d(
    x: Tensor, kernel: Tensor, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)
) -> Tensor:
    """Upsample with zeros, pad, filter, decimate: the definition, for any 2-D kernel.

    Zeros follow each sample; negative `pad` (before, after, on both axes) crops; the filter is a
    true convolution (the kernel is flipped). The networks use `fir`, which is equal for
    [1, 3, 3, 1] and costs a fraction.

    Returns
    -------
    (n, c, (h * up + pad0 + pad1 - kh) // down + 1, likewise for the width)
    """
    n, c, h, w = x.shape
    spread = x.new_zeros(n * c, 1, h, up, w, up)
    spread[:, :, :, 0, :, 0] = x.reshape(n * c, 1, h, w)
    padded = functional.pad(spread.reshape(n * c, 1, h * up, w * up), (*pad, *pad))
    weight = kernel.to(x.dtype).flip(0, 1)[None, None]
    y = functional.conv2d(padded, weight)[:, :, ::down, ::down]
    return y.reshape(n, c, y.shape[2], y.shape[3])


def on_all_rows(network: Any, w: Tensor) -> Tensor:
    """One w (n, dim) for all rows of a code."""
    return w[:, None].expand(-1, network.config.n_latent, -1)
