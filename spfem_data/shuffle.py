"""The order of samples: position in the epoch -> index of the sample, computed and not stored.

Each order is a function of (seed, epoch, position), so a run can resume at any position, with any
number of ranks and workers. There is no shuffle buffer to save.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np

from spfem_data.rng import F64, I64, Permutation, key_of, scatter

Shuffle = Literal["full", "near", "none"]
"""full: a random order of all rows. near: runs of adjacent rows are permuted and a few of them are
mixed at a time, so that reading is nearly sequential. none: file order."""

MIXED_RUNS = 8
_MAX_CORRELATION = 0.02
_TRIES = 64
_CACHED_EPOCHS = 2


class Order(Protocol):
    """The order of an epoch's samples."""

    def __len__(self) -> int:
        """Samples per epoch."""
        ...

    def at(self, epoch: int, positions: I64) -> I64:
        """The indices of the samples at positions 0 .. len - 1 of an epoch."""
        ...


class InFileOrder:
    """File order."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def at(self, epoch: int, positions: I64) -> I64:
        """The positions themselves."""
        return positions


class FullShuffle:
    """A permutation of all samples, different in each epoch."""

    def __init__(self, n: int, seed: int) -> None:
        self._n, self._seed = n, seed

    def __len__(self) -> int:
        return self._n

    def at(self, epoch: int, positions: I64) -> I64:
        """The positions, permuted by a key of seed and epoch."""
        return Permutation(self._n, key_of(self._seed, epoch))(positions)


class NearShuffle:
    """Runs of samples (usually row groups) are permuted, and `mixed` of them shuffled at a time.

    It takes the first permutation of the runs whose rank correlation with file order is below 0.02,
    so that an epoch with few runs is not nearly sorted.

    Parameters
    ----------
    runs
        Lengths of the runs, which cover the index in order.
    """

    def __init__(self, runs: Sequence[int], seed: int, mixed: int = MIXED_RUNS) -> None:
        self._lengths = np.asarray([n for n in runs if n], np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._seed, self._mixed = seed, mixed
        self._arranged = lru_cache(_CACHED_EPOCHS)(self._arrange)

    def __len__(self) -> int:
        return int(self._lengths.sum())

    def __reduce__(self) -> tuple[type[NearShuffle], tuple[list[int], int, int]]:
        return NearShuffle, (self._lengths.tolist(), self._seed, self._mixed)

    def at(self, epoch: int, positions: I64) -> I64:
        """The positions, shuffled within their blocks of `mixed` runs."""
        runs, ends = self._arranged(epoch)
        indices = np.empty_like(positions)
        blocks = np.searchsorted(ends[self._mixed - 1 :: self._mixed], positions, side="right")
        for block in np.unique(blocks).tolist():
            here = blocks == block
            indices[here] = self._in_block(epoch, block, positions[here], runs, ends)
        return indices

    def _in_block(self, epoch: int, block: int, positions: I64, runs: I64, ends: I64) -> I64:
        first = block * self._mixed
        start = int(ends[first - 1]) if first else 0
        inner = ends[first : first + self._mixed]
        n = int(inner[-1]) - start
        places = start + Permutation(n, key_of(self._seed, epoch, block, 1))(positions - start)
        k = first + np.searchsorted(inner, places, side="right")
        within = places - (ends[k] - self._lengths[runs[k]])
        return np.asarray(self._starts[runs[k]] + within)

    def _arrange(self, epoch: int) -> tuple[I64, I64]:
        """The runs in the order of the epoch, and their ends in it."""
        tries = (self._permuted(epoch, attempt) for attempt in range(_TRIES))
        best = next(tries)
        least = self._correlation(best)
        for runs in tries:
            if least < _MAX_CORRELATION:
                break
            value = self._correlation(runs)
            if value < least:
                best, least = runs, value
        return best, np.cumsum(self._lengths[best])

    def _permuted(self, epoch: int, attempt: int) -> I64:
        n = len(self._lengths)
        return Permutation(n, key_of(self._seed, epoch, attempt))(np.arange(n))

    def _correlation(self, runs: I64) -> float:
        """The expected |Spearman's rho| with file order after the blocks are shuffled."""
        total = len(self)
        lengths = self._lengths[runs]
        middles = self._starts[runs] + (lengths - 1) / 2
        edges = np.arange(0, len(runs), self._mixed)
        sizes = np.add.reduceat(lengths, edges)
        means = np.add.reduceat(lengths * middles, edges) / sizes
        places = np.cumsum(sizes) - (sizes + 1) / 2
        half = (total - 1) / 2
        product = (sizes * (places - half) * (means - half)).sum()
        return float(abs(product) / (total * max(total * total - 1, 1) / 12))


class Weighted:
    """Samples in proportion to their weights, as evenly as possible, in random order.

    A sample with expected count c occurs floor(c) or ceil(c) times per epoch.

    Parameters
    ----------
    weights
        (n,) finite, at least 0, not all 0.
    samples
        Samples per epoch.
    """

    def __init__(self, weights: F64, samples: int, seed: int) -> None:
        self._ends = np.cumsum(weights) / np.sum(weights)
        self._ends[np.flatnonzero(weights)[-1] :] = 1.0  # despite rounding
        self._samples, self._seed = samples, seed

    def __len__(self) -> int:
        return self._samples

    def at(self, epoch: int, positions: I64) -> I64:
        """Systematic sampling: one sample from each equal part of the weights' sum."""
        key = key_of(self._seed, epoch)
        parts = Permutation(self._samples, key)(positions)
        # with one offset per part, a count could be off by two
        offset = float(scatter(key_of(key, 2), np.zeros(1, np.int64))[0] >> np.uint64(11)) / 2**53
        return np.searchsorted(self._ends, (parts + offset) / self._samples, side="right")
