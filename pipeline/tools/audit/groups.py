"""Pairs of all speakers grouped by emotion and neutral take, which reveals a wrong pairing rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.tools.audit.measures import Measures

_SHARE = 0.25
_LEAST = 3


@dataclass(frozen=True)
class Group:
    """The pairs of one emotion with one neutral take, over speakers.

    Attributes
    ----------
    odd
        Speakers whose pair is flagged length_ratio.
    median_ratio, median_diagonal
        Over the group's pairs.
    suspect
        Whether at least three speakers and a quarter of the group are odd.
    """

    emotion: str
    take_a: str
    takes_b: tuple[str, ...]
    n_pairs: int
    odd: tuple[str, ...]
    median_ratio: float
    median_diagonal: float

    @property
    def suspect(self) -> bool:
        """Whether the rule that paired these takes is probably wrong for many speakers."""
        return len(self.odd) >= max(_LEAST, _SHARE * self.n_pairs)


def group_pairs(measured: Sequence[Measures]) -> list[Group]:
    """All groups, sorted by emotion and neutral take."""
    found: dict[tuple[str, str], list[Measures]] = defaultdict(list)
    for row in measured:
        found[row.pair.emotion, row.pair.take_a].append(row)
    return [
        Group(
            emotion=emotion,
            take_a=take_a,
            takes_b=tuple(sorted({row.pair.take_b for row in rows})),
            n_pairs=len(rows),
            odd=tuple(r.pair.speaker for r in rows if "length_ratio" in r.flags),
            median_ratio=float(np.median([r.ratio for r in rows])),
            median_diagonal=float(np.median([r.diagonal for r in rows])),
        )
        for (emotion, take_a), rows in sorted(found.items())
    ]
