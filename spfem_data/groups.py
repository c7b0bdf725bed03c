"""Rows by group, to sample a partner for each sample: a triplet's third or a quad's reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spfem_data.rng import I64, KeyedRng

Range = tuple[int, int]
"""Start and size."""
_EMPTY: Range = (0, 0)


class GroupIndex:
    """Rows by group, and within a group by kind.

    Parameters
    ----------
    groups
        (n,) of each row: what a partner must share with the sample.
    kinds
        (n,) of each row: what a partner must not share, if requested.
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
        """Number of candidates (n,) of each sample."""
        (_, sizes), (_, excluded) = self._ranges(groups, other_than)
        return np.asarray(sizes - excluded)

    def sample(
        self,
        rng: KeyedRng,
        purpose: str,
        groups: Sequence[str],
        other_than: Sequence[str] | None = None,
    ) -> I64:
        """A random row (n,) of each sample's group, of a kind other than `other_than`.

        Each sample must have a candidate: see `counts`.
        """
        (starts, sizes), (skipped, excluded) = self._ranges(groups, other_than)
        places = starts + rng.below(purpose, sizes - excluded)
        places += np.where(places >= skipped, excluded, 0)
        return np.asarray(self._rows[places])

    def _ranges(self, groups: Sequence[str], other_than: Sequence[str] | None) -> tuple[I64, I64]:
        """Start and size of each sample's group, and of the excluded kind in it: (2, n) each."""
        whole = [self._groups.get(group, _EMPTY) for group in groups]
        if other_than is None:
            return _columns(whole), _columns([_EMPTY] * len(whole))
        keys = zip(groups, other_than, strict=True)
        return _columns(whole), _columns([self._kinds.get(key, _EMPTY) for key in keys])


def _columns(ranges: list[Range]) -> I64:
    return np.array(ranges, np.int64).reshape(-1, 2).T


def joined(*columns: Sequence[str]) -> list[str]:
    """One group name per row from several columns."""
    return ["\0".join(map(str, row)) for row in zip(*columns, strict=True)]
