"""The order of training data as a function of seed and step, so that a training can resume."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

I64 = NDArray[np.int64]


class Order:
    """Batches of indices; each epoch is a new permutation.

    Parameters
    ----------
    n, batch
        The number of samples, and of samples per step.
    seed
        The seed of the permutations.
    """

    def __init__(self, n: int, batch: int, seed: int) -> None:
        self.n, self.batch, self.seed = n, batch, seed
        self._passage = lru_cache(maxsize=2)(self._permuted)

    def _permuted(self, passage: int) -> I64:
        return np.random.default_rng([self.seed, passage, 41]).permutation(self.n)

    def at(self, step: int) -> I64:
        """The indices (batch,) of a step."""
        places = np.arange(step * self.batch, (step + 1) * self.batch)
        return np.array([self._passage(int(k) // self.n)[int(k) % self.n] for k in places])


def chance(seed: int, step: int) -> torch.Generator:
    """The random numbers of one step, independent of other steps."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)
