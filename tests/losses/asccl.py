"""ASCCL's loss, implemented from the paper (CVPR 2024), eq. 2 to 7, to test the sampler.

Not part of the package. Eq. 4 is printed without the logarithm and with the sum inside the
exponential; STCCL's eq. 10 has the usual form, which is used here. The paper does not say how a
vector becomes a weight in eq. 6: it is the mean here, without gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.builders.small_networks import Levels, mapping

TAU, LAMBDA, R, NEGATIVES = 0.07, 2.0, 2.0, 8
NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
"""Offsets of the eight neighbours of a region."""


class Metric(nn.Module):
    """The spatial metric: features at several levels, each with a mapping of disparities."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = Levels()
        self.mappings = nn.ModuleList([mapping(16), mapping(24)])

    def disparities(
        self, images: Tensor, generator: torch.Generator
    ) -> list[tuple[Tensor, Tensor]]:
        """For each level: f(i - j) of the neighbours (n, regions, 8, d) and of random regions.

        Two calls with equally seeded generators use the same regions.
        """
        levels = []
        for features, f in zip(self.levels(images), self.mappings, strict=True):
            inner = features[:, :, 1:-1, 1:-1]
            h, w = inner.shape[2:]
            flat = inner.flatten(2).transpose(1, 2)
            near = torch.stack(
                [
                    inner - features[:, :, 1 + dy : 1 + dy + h, 1 + dx : 1 + dx + w]
                    for dy, dx in NEIGHBOURS
                ],
                dim=-1,
            )
            far = torch.randint(0, h * w, (h * w, NEGATIVES), generator=generator)
            away = flat[:, :, None] - flat[:, far]
            near = near.flatten(2, 3).permute(0, 2, 3, 1)
            levels.append(tuple(functional.normalize(f(v), dim=-1) for v in (near, away)))
        return levels


def contrast(x: Tensor, y: Tensor, y_negative: Tensor, tau: float = TAU) -> Tensor:
    """Eq. 4 for each region and neighbour: x, y (..., 8, d) against (..., m, d) -> (..., 8)."""
    positive = (x * y).sum(-1) / tau
    negative = (x[..., :, None, :] * y_negative[..., None, :, :]).sum(-1) / tau
    return torch.logsumexp(torch.cat([positive[..., None], negative], -1), -1) - positive


def asccl_loss(metric: Metric, x: Tensor, y: Tensor, seed: int = 0) -> Tensor:
    """Eq. 7: the mean over pairs, regions and neighbours, summed over the levels."""
    total = torch.zeros(())
    of_x = metric.disparities(x, torch.Generator().manual_seed(seed))
    of_y = metric.disparities(y, torch.Generator().manual_seed(seed))
    for (near_x, _), (near_y, away_y) in zip(of_x, of_y, strict=True):
        weight = LAMBDA * torch.sigmoid(near_x.detach().mean(-1)) ** R
        total = total + (weight * contrast(near_x, near_y, away_y)).mean()
    return total


@torch.no_grad()
def similarities(metric: Metric, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Mean cosine of corresponding disparities and of others (eq. 1; the paper's figure 6)."""
    of_x = metric.disparities(x, torch.Generator().manual_seed(1))
    of_y = metric.disparities(y, torch.Generator().manual_seed(1))
    same = torch.stack([(a[0] * b[0]).sum(-1).mean() for a, b in zip(of_x, of_y, strict=True)])
    other = torch.stack(
        [
            (a[0][..., :, None, :] * b[1][..., None, :, :]).sum(-1).mean()
            for a, b in zip(of_x, of_y, strict=True)
        ]
    )
    return float(same.mean()), float(other.mean())
