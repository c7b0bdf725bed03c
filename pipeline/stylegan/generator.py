"""The StyleGAN2 generator: from W+ codes to images.

Equal to the published networks within 1e-4 of a standard deviation (tested). Tensors are
named and shaped as in the layout that most encoders were trained against (`style.1.weight`,
`convs.0.conv.weight`, ...), without the filters, which are always [1, 3, 3, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from pipeline.stylegan import fused_cpu
from pipeline.stylegan.layers import StyledConv, ToRGB
from pipeline.stylegan.ops import EqualLinear, PixelNorm

_LARGEST_PX = 4096
_DEEPEST = 64
_MAPPING_BATCH = 4096


@dataclass(frozen=True)
class GeneratorConfig:
    """The architecture of a generator.

    Parameters
    ----------
    size
        Side of the image in px: a power of two from 8.
    channels
        Channels at 4, 8, ..., `size` px.
    style_dim
        Length of z and w.
    n_mlp
        Layers of the mapping network.
    conv_clamp
        Activations are limited to +-this (networks trained in half precision); None: no limit.
    mapping_lr
        The learning-rate multiplier of the mapping network, which scales its weights.
    """

    size: int
    channels: tuple[int, ...]
    style_dim: int = 512
    n_mlp: int = 8
    conv_clamp: float | None = None
    mapping_lr: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))
        if not 8 <= self.size <= _LARGEST_PX or self.size & (self.size - 1):
            raise ValueError(f"size {self.size}: expected a power of two, 8 to {_LARGEST_PX}")
        if len(self.channels) != self.n_blocks + 1:
            raise ValueError(
                f"{len(self.channels)} channel counts for {self.size} px: "
                f"{self.n_blocks + 1} are expected (4 px to {self.size} px)"
            )
        if min(*self.channels, self.style_dim, self.n_mlp) < 1 or self.n_mlp > _DEEPEST:
            raise ValueError(f"channels, style_dim, n_mlp are at least 1, n_mlp at most {_DEEPEST}")
        if self.conv_clamp is not None and not self.conv_clamp > 0:
            raise ValueError(f"conv_clamp {self.conv_clamp}: expected more than 0")

    @property
    def n_blocks(self) -> int:
        """Number of resolutions above 4 px."""
        return self.size.bit_length() - 3

    @property
    def n_latent(self) -> int:
        """Rows of a W+ code: 18 at 1024 px."""
        return 2 * self.n_blocks + 2

    @property
    def noise_px(self) -> tuple[int, ...]:
        """Side of each layer's noise map: 4, 8, 8, 16, 16, ..."""
        return (4, *(8 << (i // 2) for i in range(2 * self.n_blocks)))


class _Constant(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))


class _Noises(nn.Module):
    """The stored noise maps, drawn from their own seed, so that a new network is reproducible."""

    def __init__(self, sides: Sequence[int]) -> None:
        super().__init__()
        self.n = len(sides)
        draw = torch.Generator().manual_seed(0)
        for i, px in enumerate(sides):
            empty = torch.empty(1, 1, px, px)
            # On the meta device there are only shapes, to be filled from a file.
            noise = empty if empty.is_meta else torch.randn(1, 1, px, px, generator=draw)
            self.register_buffer(f"noise_{i}", noise)

    def maps(self) -> list[Tensor]:
        return [self.get_buffer(f"noise_{i}") for i in range(self.n)]


class Generator(nn.Module):
    """StyleGAN2, skip architecture (config F): z to w by an MLP, W+ to an image.

    `latent_avg` (style_dim,) is the mean of w, the target of truncation.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        dim, chans, clamp = config.style_dim, config.channels, config.conv_clamp
        layers = [
            EqualLinear(dim, dim, lr_mul=config.mapping_lr, active=True)
            for _ in range(config.n_mlp)
        ]
        self.style = nn.Sequential(PixelNorm(), *layers)
        self.input = _Constant(chans[0])
        self.conv1 = StyledConv(chans[0], chans[0], dim, up=False, clamp=clamp)
        self.to_rgb1 = ToRGB(chans[0], dim, clamp=clamp)
        self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for before, after in pairwise(chans):
            self.convs.append(StyledConv(before, after, dim, up=True, clamp=clamp))
            self.convs.append(StyledConv(after, after, dim, up=False, clamp=clamp))
            self.to_rgbs.append(ToRGB(after, dim, clamp=clamp))
        self.noises = _Noises(config.noise_px)
        self.register_buffer("latent_avg", torch.zeros(dim))

    def mean_latent(self, n: int, seed: int = 0) -> Tensor:
        """The mean w (style_dim,) of `n` draws, for files without `latent_avg`."""
        draw = torch.Generator().manual_seed(seed)
        total = torch.zeros(self.config.style_dim, dtype=torch.float64)
        device = self.get_buffer("latent_avg").device
        with torch.no_grad():
            for start in range(0, n, _MAPPING_BATCH):
                count = min(_MAPPING_BATCH, n - start)
                z = torch.randn(count, self.config.style_dim, generator=draw)
                total += self.style(z.to(device)).double().sum(dim=0).cpu()
        return (total / n).float()

    def forward(self, rows: Tensor) -> Tensor:
        """Images of W+ codes (n, n_latent, style_dim), with the stored noise.

        Returns
        -------
        (n, 3, size, size), nominally in [-1, 1], not clamped. On a CPU without gradients each
        image is generated separately (`fused_cpu`), with the same bits in any batch.
        """
        shape = self.config.n_latent, self.config.style_dim
        if rows.shape[1:] != shape:
            raise ValueError(
                f"codes are {tuple(rows.shape)}; this generator takes (n, {shape[0]}, {shape[1]})"
            )
        maps = self.noises.maps()
        if fused_cpu.applies(rows):
            return torch.cat([fused_cpu.image(self, row[None], maps) for row in rows])
        x = self.input.input.to(rows.dtype).expand(len(rows), -1, -1, -1)
        x = self.conv1(x, rows[:, 0], maps[0])
        image: Tensor = self.to_rgb1(x, rows[:, 1])
        for j, to_rgb in enumerate(self.to_rgbs):
            x = self.convs[2 * j](x, rows[:, 2 * j + 1], maps[2 * j + 1])
            x = self.convs[2 * j + 1](x, rows[:, 2 * j + 2], maps[2 * j + 2])
            image = to_rgb(x, rows[:, 2 * j + 3], image)
        return image
