"""Networks that are small enough to train in a test, instead of ArcFace, XLSR and a generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from spfem_data import Loader
from spfem_data.datasets import BatchDataset

Loss = Callable[[dict[str, Any]], Tensor]


class Levels(nn.Module):
    """Features at two levels (ArcFace has four): (n, 16, 8, 8), (n, 24, 4, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 16, 5, 3, 2), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1))
        self.second = nn.Sequential(nn.ReLU(), nn.Conv2d(16, 24, 3, 2, 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of images (n, 3, 48, 48)."""
        fine = self.first(images)
        return [fine, self.second(fine)]


def mapping(width: int, out: int = 16) -> nn.Module:
    """f: two fully connected layers with ReLU (ASCCL 4.1)."""
    return nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, out))


def batches(data: BatchDataset, size: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Full batches, endlessly."""
    loader = Loader(data, size, seed=seed, threads=1, prefetch=0, remainder="join")
    while True:
        yield from loader


def learn(
    loss: Loss, module: nn.Module, data: Iterator[dict[str, Any]], steps: int, rate: float = 2e-3
) -> list[float]:
    """Train with Adam; the loss at each step."""
    optimiser = torch.optim.Adam(module.parameters(), lr=rate)
    losses = []
    for _, batch in zip(range(steps), data, strict=False):
        value = loss(batch)
        assert torch.isfinite(value)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        losses.append(float(value.detach()))
    return losses


@torch.no_grad()
def mean_loss(loss: Loss, data: Iterator[dict[str, Any]], count: int = 4) -> float:
    """The mean loss over some batches, without training."""
    return sum(float(loss(batch)) for _, batch in zip(range(count), data, strict=False)) / count


def shifted(
    data: Iterator[dict[str, Any]], names: tuple[str, ...], by: int
) -> Iterator[dict[str, Any]]:
    """The same batches with some of their tensors assigned to other samples."""
    for batch in data:
        yield batch | {name: batch[name].roll(by, 0) for name in names}


def final(values: list[float], count: int = 10) -> float:
    """The mean of the last values."""
    return sum(values[-count:]) / count
