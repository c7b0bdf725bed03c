"""In which order rows are read: position in the epoch -> index of the row, computed, not stored.

Every order is a function of (seed, epoch, position), so a run goes on anywhere, at any number of
ranks and workers, and no shuffle buffer can be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np

from spfem_data.rng import F64, I64, Permutation, key_of, scatter

Shuffle = Literal["full", "near", "none"]
"""full: every order of rows is possible. near: runs of rows that lie together are permuted and a
few of them mixed at a time, so that reading is nearly sequential. none: as in the files."""

MIXED_RUNS = 8
_MAX_CORRELATION = 0.02
_TRIES = 64
_KEPT_EPOCHS = 2


class Order(Protocol):
    """The order of an epoch's samples."""

    def __len__(self) -> int:
        """Samples in an epoch."""
        ...

    def at(self, epoch: int, positions: I64) -> I64:
        """The rows' indices at positions 0 .. len - 1 of an epoch."""
        ...


class InFileOrder:
    """As the rows lie in the files."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def at(self, epoch: int, positions: I64) -> I64:
        """The positions themselves."""
        return positions


class FullShuffle:
    """A permutation of all rows, another in each epoch."""

    def __init__(self, n: int, seed: int) -> None:
        self._n, self._seed = n, seed

    def __len__(self) -> int:
        return self._n

    def at(self, epoch: int, positions: I64) -> I64:
        """Permuted by a key of seed and epoch."""
        return Permutation(self._n, key_of(self._seed, epoch))(positions)


class NearShuffle:
    """Runs of rows (row groups, as a rule) permuted, then `mixed` of them shuffled at a time.

    Of the possible orders of runs it takes the first whose rank correlation with the files' order
    is below .02, so that few runs do not make a nearly sorted epoch.

    Parameters
    ----------
    runs
        Lengths of the runs; they cover the index in order.
    """

    def __init__(self, runs: Sequence[int], seed: int, mixed: int = MIXED_RUNS) -> None:
        self._lengths = np.asarray([n for n in runs if n], np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._seed, self._mixed = seed, mixed
        self._arranged = lru_cache(_KEPT_EPOCHS)(self._arrange)

    def __len__(self) -> int:
        return int(self._lengths.sum())

    def __reduce__(self) -> tuple[type[NearShuffle], tuple[list[int], int, int]]:
        return NearShuffle, (self._lengths.tolist(), self._seed, self._mixed)

    def at(self, epoch: int, positions: I64) -> I64:
        """The block that a position falls into, shuffled by a key of its own."""
        runs, ends = self._arranged(epoch)
        found = np.empty_like(positions)
        blocks = np.searchsorted(ends[self._mixed - 1 :: self._mixed], positions, side="right")
        for block in np.unique(blocks).tolist():
            here = blocks == block
            found[here] = self._in_block(epoch, block, positions[here], runs, ends)
        return found

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
        """The runs in the epoch's order, and where each ends in it."""
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
        """What is to be expected of |Spearman's rho| when the blocks are shuffled within."""
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
    """Rows drawn in proportion to their weights, as evenly as can be: a row of expected count c
    comes floor(c) or ceil(c) times in an epoch, shuffled throughout.

    Parameters
    ----------
    weights
        (n,) finite, at least 0, not all 0.
    samples
        Draws in an epoch.
    """

    def __init__(self, weights: F64, samples: int, seed: int) -> None:
        self._ends = np.cumsum(weights) / np.sum(weights)
        self._ends[np.flatnonzero(weights)[-1] :] = 1.0  # rounding gives the last no less
        self._samples, self._seed = samples, seed

    def __len__(self) -> int:
        return self._samples

    def at(self, epoch: int, positions: I64) -> I64:
        """Systematic sampling: one draw in each of `samples` equal strips of the weights' sum."""
        key = key_of(self._seed, epoch)
        strips = Permutation(self._samples, key)(positions)
        # one offset for all strips: any more and a count could be off by two
        offset = float(scatter(key_of(key, 2), np.zeros(1, np.int64))[0] >> np.uint64(11)) / 2**53
        return np.searchsorted(self._ends, (strips + offset) / self._samples, side="right")
