"""Chance that can be computed anywhere: permutations and draws as functions of a key.

A shuffled list and a generator's state must be kept, sent and restored; a function of (seed, epoch,
position) need not be. Everything here is integer arithmetic modulo 2**64, hence equal on every
machine and under every version of numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
F64 = NDArray[np.float64]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_ROUNDS = 6


def key_of(*words: int) -> int:
    """One 64-bit key out of whole numbers, whose order counts."""
    key = len(words)
    for word in words:
        key = _finish((key + _GOLDEN) ^ (word & _MASK))
    return key


def _finish(z: int) -> int:
    """The last steps of splitmix64 (Steele, Lea, Flood 2014)."""
    z &= _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def scatter(key: int, values: I64) -> U64:
    """A 64-bit number for each value, as good as random where key or value differ."""
    z = values.astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


@dataclass(frozen=True)
class Permutation:
    """A keyed bijection of 0 .. n - 1 that keeps no table.

    An unbalanced Feistel network over a grid of a x b >= n cells (Black, Rogaway 2002, "Ciphers
    with arbitrary finite domains"): each round adds a hash of the one coordinate to the other,
    modulo its range. What falls beyond n is sent through again until it falls below.
    """

    n: int
    key: int

    def __call__(self, places: I64) -> I64:
        """Where each place (any shape, 0 to n - 1) goes, int64."""
        rows = isqrt(max(self.n - 1, 0)) + 1
        columns = -(-self.n // rows)
        found = self._once(np.asarray(places, np.int64), rows, columns)
        while (beyond := found >= self.n).any():
            found[beyond] = self._once(found[beyond], rows, columns)
        return found

    def _once(self, places: I64, rows: int, columns: int) -> I64:
        row, column = np.divmod(places, columns)
        for k in range(_ROUNDS):
            row = (row + _below(scatter(key_of(self.key, 2 * k), column), rows)) % rows
            column = (column + _below(scatter(key_of(self.key, 2 * k + 1), row), columns)) % columns
        return np.asarray(row * columns + column)


def _below(numbers: U64, bound: int) -> I64:
    return (numbers % np.uint64(bound)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Draws:
    """The lots of some samples: functions of seed, epoch and the sample's position in the epoch.

    Attributes
    ----------
    epochs, positions
        (n,) of each sample; of one epoch as a rule, of two where a batch reaches into the next.
    """

    seed: int
    epochs: I64
    positions: I64

    @classmethod
    def of_indices(cls, indices: I64) -> Draws:
        """Lots for random access, where no epoch runs: the same index always draws the same."""
        return cls(0, np.zeros(len(indices), np.int64), indices)

    def __len__(self) -> int:
        return len(self.positions)

    def of(self, chosen: NDArray[np.bool_]) -> Draws:
        """Those of some of the samples."""
        return Draws(self.seed, self.epochs[chosen], self.positions[chosen])

    def bits(self, purpose: str) -> U64:
        """(n,) 64-bit numbers; each purpose has its own."""
        key = key_of(self.seed, *purpose.encode())
        return scatter(key, scatter(key, self.epochs).astype(np.int64) ^ self.positions)

    def below(self, purpose: str, bounds: I64) -> I64:
        """(n,) whole numbers, each at least 0 and below its bound."""
        return (self.bits(purpose) % bounds.astype(np.uint64)).astype(np.int64)

    def unit(self, purpose: str) -> F64:
        """(n,) numbers in [0, 1)."""
        return np.asarray((self.bits(purpose) >> np.uint64(11)).astype(np.float64) / (1 << 53))


def again_and_again(members: I64, places: I64, draws: Draws, purpose: int) -> I64:
    """What stands at some places of an endless row: all members, then all again in another order.

    The orders are those of the samples' epochs.
    """
    rounds, within = np.divmod(places, len(members))
    found = np.empty_like(places)
    for epoch, turn in set(zip(draws.epochs.tolist(), rounds.tolist(), strict=True)):
        here = (draws.epochs == epoch) & (rounds == turn)
        key = key_of(draws.seed, epoch, purpose, turn)
        found[here] = members[Permutation(len(members), key)(within[here])]
    return found
