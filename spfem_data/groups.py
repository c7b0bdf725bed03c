"""Rows in groups, one of which is drawn for each sample: the other half of a triplet or a quad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spfem_data.rng import I64, Draws

Range = tuple[int, int]
_NOTHING: Range = (0, 0)


class Pool:
    """Rows by group, and within a group by kind.

    Parameters
    ----------
    groups
        (n,) of each row: what a drawn row must share with the sample.
    kinds
        (n,) of each row: what it must not share, where that is asked for.
    """

    def __init__(self, groups: Sequence[str], kinds: Sequence[str]) -> None:
        order = sorted(range(len(groups)), key=lambda k: (groups[k], kinds[k], k))
        self._rows = np.array(order, np.int64)
        self._groups: dict[str, Range] = {}
        self._kinds: dict[tuple[str, str], Range] = {}
        for place, row in enumerate(order):
            group, kind = groups[row], kinds[row]
            start, size = self._groups.get(group, (place, 0))
            self._groups[group] = (start, size + 1)
            start, size = self._kinds.get((group, kind), (place, 0))
            self._kinds[group, kind] = (start, size + 1)

    def counts(self, groups: Sequence[str], other_than: Sequence[str] | None = None) -> I64:
        """How many rows each sample may draw from."""
        (_, sizes), (_, left_out) = self._ranges(groups, other_than)
        return np.asarray(sizes - left_out)

    def draw(
        self,
        draws: Draws,
        purpose: str,
        groups: Sequence[str],
        other_than: Sequence[str] | None = None,
    ) -> I64:
        """A row of each sample's group, of another kind than its own; every one equally likely.

        Each sample must have one to draw from: see `counts`.
        """
        (starts, sizes), (skipped, left_out) = self._ranges(groups, other_than)
        places = starts + draws.below(purpose, sizes - left_out)
        places += np.where(places >= skipped, left_out, 0)
        return np.asarray(self._rows[places])

    def _ranges(self, groups: Sequence[str], other_than: Sequence[str] | None) -> tuple[I64, I64]:
        """Start and size of each sample's group, and of its own kind in it: (2, n) each."""
        whole = [self._groups.get(group, _NOTHING) for group in groups]
        if other_than is None:
            return _columns(whole), _columns([_NOTHING] * len(whole))
        keys = zip(groups, other_than, strict=True)
        return _columns(whole), _columns([self._kinds.get(key, _NOTHING) for key in keys])


def _columns(ranges: list[Range]) -> I64:
    return np.array(ranges, np.int64).reshape(-1, 2).T


def joined(*columns: Sequence[str]) -> list[str]:
    """One name for each row out of several."""
    return ["\0".join(map(str, row)) for row in zip(*columns, strict=True)]
