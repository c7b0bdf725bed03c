"""STCCL's loss, implemented from the paper (2026), eq. 2 to 16, to test the sampler.

Not part of the package. The correlation Z of two feature vectors is their difference (VD, eq. 2) or
their product channel by channel (CM, eq. 3, whose matrix sums these): the paper maps it by fully
connected layers, so it must be a vector. In time, i and j are frames at one position of the image.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.builders.small_networks import Levels, mapping
from tests.losses.asccl import LAMBDA, NEGATIVES, NEIGHBOURS, R, contrast

Kind = Literal["VD", "CM"]


def correlation(kind: Kind, i: Tensor, j: Tensor) -> Tensor:
    """Z: eq. 2 or eq. 3."""
    return i - j if kind == "VD" else i * j


class Metrics(nn.Module):
    """The spatial and the temporal metric over shared features."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind: Kind = kind
        self.levels = Levels()
        self.space = nn.ModuleList([mapping(16), mapping(24)])
        self.time = nn.ModuleList([mapping(16), mapping(24)])

    def features(self, windows: Tensor) -> list[Tensor]:
        """Of windows (n, t, 3, h, w): levels (n, t, c, h, w)."""
        n, t = windows.shape[:2]
        return [f.unflatten(0, (n, t)) for f in self.levels(windows.flatten(0, 1))]

    def spatial(self, level: int, features: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Neighbours (n, t, regions, 8, d) and random regions, in the same shape (eq. 9)."""
        inner = features[..., 1:-1, 1:-1]
        h, w = inner.shape[-2:]
        flat = inner.flatten(3).transpose(2, 3)
        near = torch.stack(
            [
                features[..., 1 + dy : 1 + dy + h, 1 + dx : 1 + dx + w].flatten(3).transpose(2, 3)
                for dy, dx in NEIGHBOURS
            ],
            dim=3,
        )
        generator = torch.Generator().manual_seed(seed)
        away = flat[:, :, torch.randint(0, h * w, (h * w, NEGATIVES), generator=generator)]
        return self._mapped(self.space[level], flat, near), self._mapped(
            self.space[level], flat, away
        )

    def temporal(self, level: int, features: Tensor) -> Tensor:
        """Every frame with every other at each position (eq. 12): (n, positions, t, t - 1, d)."""
        t = features.shape[1]
        flat = features.flatten(3).permute(0, 3, 1, 2)
        others = torch.stack([torch.tensor([j for j in range(t) if j != i]) for i in range(t)])
        return self._mapped(self.time[level], flat, flat[:, :, others])

    def _mapped(self, f: nn.Module, i: Tensor, j: Tensor) -> Tensor:
        return functional.normalize(f(correlation(self.kind, i[..., None, :], j)), dim=-1)


def stccl_loss(
    metrics: Metrics, x: Tensor, y: Tensor, weights: Tensor, seed: int = 0
) -> dict[str, Tensor]:
    """The two terms of eq. 16 as means: space and time.

    `weights` (n, t) are those of the windows: less reliable frame pairs count less.
    """
    space = time = torch.zeros(())
    relative = weights / weights.mean()
    for level, (of_x, of_y) in enumerate(
        zip(metrics.features(x), metrics.features(y), strict=True)
    ):
        near_x, _ = metrics.spatial(level, of_x, seed)
        near_y, away_y = metrics.spatial(level, of_y, seed)
        value = adaptive(near_x) * contrast(near_x, near_y, away_y)
        space = space + (value.mean((2, 3)) * relative).mean()
        time_x, time_y = metrics.temporal(level, of_x), metrics.temporal(level, of_y)
        value = adaptive(time_x) * among(time_x, time_y)
        time = time + (value.mean((1, 3)) * relative).mean()
    return {"space": space, "time": time}


def among(x: Tensor, y: Tensor, tau: float = 0.07) -> Tensor:
    """Eq. 13: frame pair ij of X against all pairs ik of Y, (..., t - 1)."""
    scores = (x[..., :, None, :] * y[..., None, :, :]).sum(-1) / tau
    return torch.logsumexp(scores, -1) - scores.diagonal(dim1=-2, dim2=-1)


def adaptive(x: Tensor) -> Tensor:
    """Eq. 15."""
    return LAMBDA * torch.sigmoid(x.detach().mean(-1)) ** R
