"""Random numbers and permutations that are functions of a key.

A shuffled list or a generator's state would have to be saved, sent and restored; a function of
(seed, epoch, position) is just computed again. Everything is integer arithmetic modulo 2**64, so it
gives the same values on every machine and with every version of numpy.
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
    """A 64-bit key of a sequence of integers."""
    key = len(words)
    for word in words:
        key = _mix((key + _GOLDEN) ^ (word & _MASK))
    return key


def _mix(z: int) -> int:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014)."""
    z &= _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def scatter(key: int, values: I64) -> U64:
    """A pseudorandom 64-bit number for each value (any shape)."""
    z = values.astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


@dataclass(frozen=True)
class Permutation:
    """A keyed permutation of 0 .. n - 1 that needs no table.

    An unbalanced Feistel network over a grid of a x b >= n cells (Black, Rogaway 2002, "Ciphers
    with arbitrary finite domains"): each round adds a hash of one coordinate to the other, modulo
    its range. A result of n or more is permuted again until it is below n.
    """

    n: int
    key: int

    def __call__(self, positions: I64) -> I64:
        """The permuted positions: any shape, 0 to n - 1, int64."""
        rows = isqrt(max(self.n - 1, 0)) + 1
        columns = -(-self.n // rows)
        permuted = self._once(np.asarray(positions, np.int64), rows, columns)
        while (beyond := permuted >= self.n).any():
            permuted[beyond] = self._once(permuted[beyond], rows, columns)
        return permuted

    def _once(self, positions: I64, rows: int, columns: int) -> I64:
        row, column = np.divmod(positions, columns)
        for k in range(_ROUNDS):
            row = (row + _modulo(scatter(key_of(self.key, 2 * k), column), rows)) % rows
            hashed = scatter(key_of(self.key, 2 * k + 1), row)
            column = (column + _modulo(hashed, columns)) % columns
        return np.asarray(row * columns + column)


def _modulo(numbers: U64, bound: int) -> I64:
    return (numbers % np.uint64(bound)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class KeyedRng:
    """Random numbers for some samples: functions of the seed and each sample's epoch and position.

    Attributes
    ----------
    epochs, positions
        (n,) of each sample. A batch may reach into the next epoch.
    """

    seed: int
    epochs: I64
    positions: I64

    @classmethod
    def of_indices(cls, indices: I64) -> KeyedRng:
        """For random access, outside of an epoch: an index always gets the same numbers."""
        return cls(0, np.zeros(len(indices), np.int64), indices)

    def __len__(self) -> int:
        return len(self.positions)

    def subset(self, mask: NDArray[np.bool_]) -> KeyedRng:
        """For some of the samples."""
        return KeyedRng(self.seed, self.epochs[mask], self.positions[mask])

    def bits(self, purpose: str) -> U64:
        """(n,) 64-bit numbers, independent for each purpose."""
        key = key_of(self.seed, *purpose.encode())
        return scatter(key, scatter(key, self.epochs).astype(np.int64) ^ self.positions)

    def below(self, purpose: str, bounds: I64) -> I64:
        """(n,) integers, each from 0 to its bound - 1."""
        return (self.bits(purpose) % bounds.astype(np.uint64)).astype(np.int64)


def shuffled_cycle(members: I64, positions: I64, rng: KeyedRng, purpose: int) -> I64:
    """Members at some positions of an endless sequence: all members, then all reshuffled, ...

    The order also depends on each sample's epoch.
    """
    rounds, within = np.divmod(positions, len(members))
    picked = np.empty_like(positions)
    for epoch, turn in set(zip(rng.epochs.tolist(), rounds.tolist(), strict=True)):
        here = (rng.epochs == epoch) & (rounds == turn)
        key = key_of(rng.seed, epoch, purpose, turn)
        picked[here] = members[Permutation(len(members), key)(within[here])]
    return picked
