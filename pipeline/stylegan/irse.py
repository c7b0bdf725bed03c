"""IR-SE-50: the body of the W+ encoders and of one ArcFace network.

Residual units of batch norm, two 3x3 convolutions and squeeze-and-excitation (Deng et al. 2019,
"ArcFace", in the variant with 3, 4, 14 and 3 units). Widths and counts are parameters, so that
small networks use the same class.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

UNITS = (3, 4, 14, 3)
WIDTHS = (64, 128, 256, 512)
_REDUCTION = 16
_MOST_UNITS = 100


def check(units: Sequence[int], widths: Sequence[int]) -> None:
    """Raise ValueError unless units and widths are four valid counts each."""
    if len(units) != 4 or len(widths) != 4 or min(*units, *widths) < 1 or max(units) > _MOST_UNITS:
        raise ValueError(f"units {units}, widths {widths}: expected four counts each")


class SqueezeExcite(nn.Module):
    """Scale each channel by a two-layer network's output for the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // _REDUCTION)
        self.fc1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.fc2 = nn.Conv2d(inner, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Any (n, channels, h, w)."""
        means = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(torch.relu(self.fc1(means))))


class Unit(nn.Module):
    """One residual unit; the shortcut is a convolution if the width changes."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module
        if n_in == n_out:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(n_in),
            nn.Conv2d(n_in, n_out, 3, 1, 1, bias=False),
            nn.PReLU(n_out),
            nn.Conv2d(n_out, n_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_out),
            SqueezeExcite(n_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_in, h, w) in, (n, n_out, h / stride, w / stride) out."""
        y: Tensor = self.res_layer(x) + self.shortcut_layer(x)
        return y


def stem(n_in: int, n_out: int) -> nn.Sequential:
    """The first convolution, at full size."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out), nn.PReLU(n_out)
    )


def body(units: Sequence[int], widths: Sequence[int]) -> nn.Sequential:
    """All units in sequence; the first of each stage halves the size."""
    layers, before = [], widths[0]
    for count, width in zip(units, widths, strict=True):
        for i in range(count):
            layers.append(Unit(before, width, 2 if i == 0 else 1))
            before = width
    return nn.Sequential(*layers)
