"""Encoders of an image into W+: pSp's (Richardson et al. 2021) and e4e's (Tov et al. 2021).

A pyramid of IR-SE-50 features with one small head per row of the code. pSp's heads give the rows;
e4e's first head gives a base for all rows, and the others give offsets from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.stylegan import irse
from pipeline.stylegan.ops import EqualLinear

STRIDES = (4, 8, 16)
"""Strides of the three feature maps, fine to coarse."""
_MOST_STYLES = 64


@dataclass(frozen=True)
class EncoderConfig:
    """The architecture of a W+ encoder.

    Parameters
    ----------
    kind
        `e4e`: a base row and deltas; `psp`: independent rows.
    n_styles
        Rows of the code: the generator's n_latent.
    style_dim
        Length of a row.
    input_px
        Input size: a power of two, from 32.
    units, widths
        Units and channels of the body's four stages.
    head_width
        Channels inside a head; 0: style_dim, as published.
    coarse, middle
        Rows below `coarse` use the coarsest map, below `middle` the middle one, others the finest.
    """

    kind: Literal["e4e", "psp"]
    n_styles: int
    style_dim: int = 512
    input_px: int = 256
    units: tuple[int, ...] = irse.UNITS
    widths: tuple[int, ...] = irse.WIDTHS
    head_width: int = 0
    coarse: int = 3
    middle: int = 7

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", tuple(self.units))
        object.__setattr__(self, "widths", tuple(self.widths))
        if self.kind not in ("e4e", "psp"):
            raise ValueError(f"kind {self.kind!r}: expected e4e or psp")
        irse.check(self.units, self.widths)
        if self.input_px < 32 or self.input_px & (self.input_px - 1):
            raise ValueError(f"input_px {self.input_px}: expected a power of two from 32")
        if min(self.n_styles, self.style_dim) < 1 or self.head_width < 0:
            raise ValueError("n_styles and style_dim are at least 1, head_width at least 0")
        if self.n_styles > _MOST_STYLES:
            raise ValueError(f"n_styles {self.n_styles}: at most {_MOST_STYLES} is expected")
        if not 0 <= self.coarse <= self.middle:
            raise ValueError(f"coarse {self.coarse}, middle {self.middle}: in that order")

    def level(self, row: int) -> int:
        """The one of `STRIDES` that the head of a row uses."""
        return 2 if row < self.coarse else 1 if row < self.middle else 0


class Head(nn.Module):
    """Reduce a feature map to one row by convolutions of stride 2."""

    def __init__(self, n_in: int, width: int, n_out: int, map_px: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(map_px.bit_length() - 1):
            layers += [nn.Conv2d(width if i else n_in, width, 3, 2, 1), nn.LeakyReLU()]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(width, n_out)

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_in, map_px, map_px) in, (n, n_out) out."""
        row: Tensor = self.linear(self.convs(x).flatten(1))
        return row


class WPlusEncoder(nn.Module):
    """Image to W+ code. `latent_avg` (n_styles, style_dim) is added to the network's output; zeros
    for networks trained without it.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.input_layer = irse.stem(3, widths[0])
        self.body = irse.body(config.units, widths)
        self.latlayer1 = nn.Conv2d(widths[2], widths[3], 1)
        self.latlayer2 = nn.Conv2d(widths[1], widths[3], 1)
        width = config.head_width or config.style_dim
        sides = [config.input_px // stride for stride in STRIDES]
        self.styles = nn.ModuleList(
            Head(widths[3], width, config.style_dim, sides[config.level(i)])
            for i in range(config.n_styles)
        )
        self.register_buffer("latent_avg", torch.zeros(config.n_styles, config.style_dim))

    def features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The body's maps at 1/4, 1/8 and 1/16 of the input size, from its last three stages."""
        ends = [sum(self.config.units[: k + 1]) for k in range(4)]
        found, x = [], self.input_layer(x)
        for i, unit in enumerate(self.body, start=1):
            x = unit(x)
            if i in ends[1:]:
                found.append(x)
        return found[0], found[1], found[2]

    def raw(self, x: Tensor) -> Tensor:
        """The network's output, before the mean is added.

        Parameters
        ----------
        x
            RGB (n, 3, input_px, input_px) in [-1, 1].

        Returns
        -------
        (n, n_styles, style_dim)
        """
        px = self.config.input_px
        if x.shape[1:] != (3, px, px):
            raise ValueError(f"images are {tuple(x.shape)}; expected (n, 3, {px}, {px})")
        fine, middle, coarse = self.features(x)
        middle = _upsampled(coarse, middle) + self.latlayer1(middle)
        fine = _upsampled(middle, fine) + self.latlayer2(fine)
        maps = (fine, middle, coarse)
        rows = [head(maps[self.config.level(i)]) for i, head in enumerate(self.styles)]
        if self.config.kind == "e4e":
            rows[1:] = [rows[0] + row for row in rows[1:]]
        return torch.stack(rows, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """The code (n, n_styles, style_dim) for a generator; see `raw`."""
        return self.raw(x) + self.get_buffer("latent_avg")


def _upsampled(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)
