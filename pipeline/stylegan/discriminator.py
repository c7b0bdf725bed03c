"""The StyleGAN2 discriminator, for the adversarial loss of encoder training."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from pipeline.stylegan.generator import GeneratorConfig
from pipeline.stylegan.ops import ActivateBias, EqualConv2d, EqualLinear, fir

_GROUP = 4


class _Halved(nn.Module):
    """Blur before a convolution of stride 2."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.pad = size // 2 + 1

    def forward(self, x: Tensor) -> Tensor:
        return fir(x, self.pad)


def _layer(
    n_in: int, n_out: int, size: int, *, halve: bool = False, active: bool = True
) -> nn.Sequential:
    """Convolution and activation, with a blur first if the size halves."""
    stride, pad = (2, 0) if halve else (1, size // 2)
    parts: list[nn.Module] = [_Halved(size)] if halve else []
    parts.append(EqualConv2d(n_in, n_out, size, stride=stride, pad=pad))
    return nn.Sequential(*parts, *([ActivateBias(n_out)] if active else []))


class _Block(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv1 = _layer(n_in, n_in, 3)
        self.conv2 = _layer(n_in, n_out, 3, halve=True)
        self.skip = _layer(n_in, n_out, 1, halve=True, active=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(self.conv1(x)) + self.skip(x)
        return y / math.sqrt(2.0)


class Discriminator(nn.Module):
    """The residual discriminator of config F, for a generator's image size and channels."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        chans = config.channels[::-1]
        self.convs = nn.Sequential(
            _layer(3, chans[0], 1), *(_Block(a, b) for a, b in pairwise(chans))
        )
        self.final_conv = _layer(chans[-1] + 1, chans[-1], 3)
        self.final_linear = nn.Sequential(
            EqualLinear(chans[-1] * 16, chans[-1], active=True), EqualLinear(chans[-1], 1)
        )

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, size, size) in [-1, 1] to logits (n, 1) of being real.

        n is at most 4 or a multiple of 4, the group size of the minibatch deviation.
        """
        x = self.convs(images)
        x = self.final_conv(torch.cat([x, _deviation(x)], dim=1))
        y: Tensor = self.final_linear(x.flatten(1))
        return y


def _deviation(x: Tensor) -> Tensor:
    """The mean standard deviation within each group of samples, as one map (n, 1, h, w)."""
    n, c, h, w = x.shape
    group = min(n, _GROUP)
    if n % group:
        raise ValueError(f"{n} images: at most {_GROUP} or a multiple of it is expected")
    grouped = x.view(group, n // group, c, h, w)
    spread = torch.sqrt(grouped.var(dim=0, unbiased=False) + 1e-8)
    return spread.mean(dim=(1, 2, 3)).view(-1, 1, 1, 1).repeat(group, 1, h, w)
