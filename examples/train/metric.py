"""ASCCL's spatial metric and loss (CVPR 2024, 4.1 and 4.2).

Where the paper is not specific: eq. 4 has the form of STCCL's eq. 10, mapped disparities have unit
length, and the weight in eq. 6 is the mean of a vector. Features come from a small network that is
trained with the metric; the paper uses a frozen ArcFace.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

TAU, LAMBDA, R, NEGATIVES = 0.07, 2.0, 2.0, 8
NEAR = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
WIDTHS = (16, 24, 32, 48)


class Metric(nn.Module):
    """Four levels of features, each with a mapping f of disparities (eq. 2 and 3)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *WIDTHS)
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(i, o, 3, 2, 1), nn.GroupNorm(4, o), nn.ReLU(), nn.Conv2d(o, o, 3, 1, 1)
            )
            for i, o in pairwise(widths)
        )
        self.maps = nn.ModuleList(
            nn.Sequential(nn.Linear(w, 64), nn.ReLU(), nn.Linear(64, 32)) for w in WIDTHS
        )

    def forward(self, images: Tensor, regions: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """For each level: disparities to the eight neighbours, and to eight random regions.

        images (n, 3, h, w) -> (n, m, 8, 32) twice, at the m regions of `sample_regions`.
        """
        disparities = []
        features = images
        for level, f, places in zip(self.levels, self.maps, regions, strict=True):
            features = level(features)
            grid = features.flatten(2).transpose(1, 2)
            here = grid[:, places[:, 0], None]
            pairs = (here - grid[:, places[:, 1:9]], here - grid[:, places[:, 9:]])
            disparities.append(tuple(functional.normalize(f(d), dim=-1) for d in pairs))
        return disparities


def sample_regions(size: int, count: int, generator: torch.Generator) -> list[Tensor]:
    """For each level: `count` inner regions, their eight neighbours, eight others: (count, 17)."""
    regions = []
    for level in range(len(WIDTHS)):
        side = size // 2 ** (level + 1)
        y, x = (torch.randint(1, side - 1, (count,), generator=generator) for _ in range(2))
        near = torch.stack([(y + dy) * side + x + dx for dy, dx in NEAR], 1)
        far = torch.randint(0, side * side, (count, NEGATIVES), generator=generator)
        regions.append(torch.cat([(y * side + x)[:, None], near, far], 1))
    return regions


def asccl_loss(metric: Metric, x: Tensor, y: Tensor, regions: list[Tensor]) -> Tensor:
    """Eq. 7: the mean over pairs, regions and neighbours, summed over levels."""
    total = x.new_zeros(())
    for (near_x, _), (near_y, far_y) in zip(metric(x, regions), metric(y, regions), strict=True):
        positive = (near_x * near_y).sum(-1) / TAU
        negative = near_x @ far_y.transpose(-1, -2) / TAU
        scores = torch.cat([positive[..., None], negative], -1)
        weight = LAMBDA * torch.sigmoid(near_x.detach().mean(-1)) ** R
        total = total + (weight * (torch.logsumexp(scores, -1) - positive)).mean()
    return total


@torch.no_grad()
def similarities(
    metric: Metric, x: Tensor, y: Tensor, regions: list[Tensor]
) -> tuple[float, float]:
    """Mean similarity of corresponding disparities and of others (eq. 1)."""
    pairs = list(zip(metric(x, regions), metric(y, regions), strict=True))
    same = [float((a * b).sum(-1).mean()) for (a, _), (b, _) in pairs]
    other = [float((a @ b.transpose(-1, -2)).mean()) for (a, _), (_, b) in pairs]
    return sum(same) / len(same), sum(other) / len(other)
