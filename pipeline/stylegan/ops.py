"""StyleGAN2's operations: FIR filters, equalised layers, the activation.

Images are (n, channels, height, width), float. Karras et al. 2020, "Analyzing and Improving the
Image Quality of StyleGAN"; the filter is [1, 3, 3, 1] everywhere.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

TAPS = (1.0, 3.0, 3.0, 1.0)
"""The filter along one axis; its sum is 8."""
SLOPE = 0.2
"""Slope of the leaky ReLU, whose output is then scaled by the square root of two."""
GAIN = math.sqrt(2.0)
EPSILON = 1e-8


def _kernels(x: Tensor, gain: float) -> Tensor:
    taps = torch.tensor(TAPS, dtype=x.dtype, device=x.device) / sum(TAPS)
    return (torch.outer(taps, taps) * gain).expand(x.shape[1], 1, 4, 4)


def fir(x: Tensor, pad: int, gain: float = 1.0, bias: Tensor | None = None) -> Tensor:
    """Filter each channel by outer([1, 3, 3, 1]) / 64 * gain, and add a bias per channel.

    One depthwise pass: in a channels-last layout on a CPU, it takes a sixth of the time of two
    passes of a separable filter (benchmarks/stylegan_cpu.py).

    Returns
    -------
    (n, c, h + 2 * pad - 3, w + 2 * pad - 3)
    """
    return functional.conv2d(x, _kernels(x, gain), bias, padding=pad, groups=x.shape[1])


def upsample(x: Tensor) -> Tensor:
    """Double the size: insert zeros, pad (2, 1), apply four times the filter."""
    # A transposed convolution of stride 2 inserts the zeros; the kernel is symmetric.
    return functional.conv_transpose2d(x, _kernels(x, 4.0), stride=2, padding=1, groups=x.shape[1])


def activate(x: Tensor, bias: Tensor) -> Tensor:
    """Leaky ReLU of `x` + `bias` (channels on axis 1), scaled to keep the variance."""
    shaped = bias.view(1, -1, *([1] * (x.ndim - 2)))
    return functional.leaky_relu(x + shaped, SLOPE) * GAIN


class PixelNorm(nn.Module):
    """Scale each row of (n, dim) to a mean square of one."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, dim) in, (n, dim) out."""
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + EPSILON)


class EqualLinear(nn.Module):
    """A linear layer whose stored weight has unit standard deviation; scaled at run time.

    Parameters
    ----------
    lr_mul
        Factor on stored weight and bias (mapping network: 0.01).
    active
        Whether the scaled leaky ReLU follows.
    """

    def __init__(
        self, n_in: int, n_out: int, *, bias: float = 0.0, lr_mul: float = 1.0, active: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) / lr_mul)
        self.bias = nn.Parameter(torch.full((n_out,), bias / lr_mul))
        self.scale = lr_mul / math.sqrt(n_in)
        self.lr_mul = lr_mul
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_in) in, (n, n_out) out."""
        bias = self.bias * self.lr_mul
        if self.active:
            return activate(functional.linear(x, self.weight * self.scale), bias)
        return functional.linear(x, self.weight * self.scale, bias)


class EqualConv2d(nn.Module):
    """A convolution without bias whose stored weight has unit standard deviation."""

    def __init__(self, n_in: int, n_out: int, size: int, *, stride: int = 1, pad: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in, size, size))
        self.scale = 1.0 / math.sqrt(n_in * size * size)
        self.stride, self.pad = stride, pad

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_in, h, w) in, (n, n_out, h / stride, w / stride) out."""
        return functional.conv2d(x, self.weight * self.scale, stride=self.stride, padding=self.pad)


class ActivateBias(nn.Module):
    """The bias of a layer and the scaled leaky ReLU after it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Any (n, channels, ...)."""
        return activate(x, self.bias)
