"""The generator's layers: modulated convolution, noise, and RGB output."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.stylegan.ops import EPSILON, ActivateBias, EqualLinear, fir, upsample


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by the style, its output channels normalised.

    Scaling activations is equivalent to scaling a weight per sample, and shares one weight over the
    batch.
    """

    def __init__(
        self, n_in: int, n_out: int, size: int, style_dim: int, *, demodulate: bool = True,
        up: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, n_out, n_in, size, size))
        self.modulation = EqualLinear(style_dim, n_in, bias=1.0)
        self.scale = 1.0 / math.sqrt(n_in * size * size)
        self.demodulate, self.up, self.pad = demodulate, up, size // 2

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(n, n_in, h, w), (n, style_dim) in; (n, n_out, h, w) out, twice the size with `up`."""
        style = self.modulation(w)
        weight = self.weight[0] * self.scale
        x = x * style[:, :, None, None].to(x.dtype)
        if self.up:
            x = functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            x = fir(x, 1, gain=4.0)
        else:
            x = functional.conv2d(x, weight, padding=self.pad)
        if self.demodulate:
            x = x * self._demodulation(style, weight)[:, :, None, None].to(x.dtype)
        return x

    @staticmethod
    def _demodulation(style: Tensor, weight: Tensor) -> Tensor:
        # Sums of squares overflow in half precision.
        with torch.autocast(style.device.type, enabled=False):
            power = weight.float().square().sum(dim=(2, 3))
            return torch.rsqrt(style.float().square() @ power.T + EPSILON)


class NoiseInjection(nn.Module):
    """A noise map shared by all channels, with one learnt strength."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """(n, c, r, r) and a map (1, 1, r, r) in, (n, c, r, r) out."""
        return x + (self.weight * noise).to(x.dtype)


class StyledConv(nn.Module):
    """Modulated convolution, noise, bias, activation, clamp."""

    def __init__(
        self, n_in: int, n_out: int, style_dim: int, *, up: bool, clamp: float | None
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv(n_in, n_out, 3, style_dim, up=up)
        self.noise = NoiseInjection()
        self.activate = ActivateBias(n_out)
        self.clamp = clamp

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """Features, one row of the code, this layer's noise map."""
        return _clamped(self.activate(self.noise(self.conv(x, w), noise)), self.clamp)


class ToRGB(nn.Module):
    """Features to RGB, added to the previous image at twice its size."""

    def __init__(self, n_in: int, style_dim: int, *, clamp: float | None) -> None:
        super().__init__()
        self.conv = ModulatedConv(n_in, 3, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.clamp = clamp

    def forward(self, x: Tensor, w: Tensor, skip: Tensor | None = None) -> Tensor:
        """(n, c, r, r) and the image (n, 3, r / 2, r / 2) in, (n, 3, r, r) out."""
        y = _clamped(self.conv(x, w) + self.bias, self.clamp)
        return y if skip is None else y + upsample(skip)


def _clamped(x: Tensor, limit: float | None) -> Tensor:
    return x if limit is None else x.clamp(-limit, limit)
