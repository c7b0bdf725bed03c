"""Selection of the pairs that the page shows with images: the worst, the best, a random sample."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from pipeline.records import Pair, PosedPair
from pipeline.stages.report.inputs import F64


@dataclass(frozen=True)
class Choice:
    """Pairs to show, each in one group. In `worst` and `best`, the extreme is first."""

    worst: tuple[Pair, ...]
    best: tuple[Pair, ...]
    random: tuple[Pair, ...]

    @property
    def all(self) -> tuple[Pair, ...]:
        """All pairs to show, group by group."""
        return (*self.worst, *self.best, *self.random)

    def fewer(self, share: float) -> Choice:
        """About this share of all pairs, at least one fewer; groups lose pairs from the end."""
        groups = (self.worst, self.best, self.random)
        turns = sorted((place, n) for n, group in enumerate(groups) for place in range(len(group)))
        kept = Counter(n for _, n in turns[: min(int(len(turns) * share), len(turns) - 1)])
        return Choice(*(group[: kept[n]] for n, group in enumerate(groups)))


CHECKS = ("sentence", "mouth", "confidence", "coverage", "residual")
_WEAK = 0.9


@dataclass(frozen=True)
class Doubts:
    """The relative doubt of pairs: `ranks` (checks, n) in 0..1, 1 for the least reliable."""

    ids: tuple[str, ...]
    ranks: F64

    @property
    def mean(self) -> F64:
        """The mean rank (n,) over the checks; ranks make their units comparable."""
        return np.asarray(self.ranks.mean(axis=0))

    def by_id(self) -> dict[str, float]:
        """The mean rank of each pair."""
        return dict(zip(self.ids, self.mean.tolist(), strict=True))

    def weak(self) -> dict[str, tuple[str, ...]]:
        """The checks in which each pair is among the least reliable tenth."""
        return {
            name: tuple(np.array(CHECKS)[self.ranks[:, k] > _WEAK].tolist())
            for k, name in enumerate(self.ids)
        }


def doubts(pairs: Sequence[Pair], posed: Mapping[str, PosedPair]) -> Doubts:
    """Rank the pairs by sentence score, mouth agreement, median confidence, coverage and residual.

    Missing values get the middle rank.
    """
    columns = [
        [pair.sentence_score for pair in pairs],
        [_negative(pair.mouth_agreement) for pair in pairs],
        [_negative(float(np.median(pair.confidence or [0.0]))) for pair in pairs],
        [-pair.coverage for pair in pairs],
        [_residual(posed.get(pair.pair_id)) for pair in pairs],
    ]
    ranks = np.stack([_ranks(np.array(column, np.float64)) for column in columns])
    return Doubts(tuple(pair.pair_id for pair in pairs), ranks)


def _negative(value: float | None) -> float:
    return float("nan") if value is None else -value


def _residual(row: PosedPair | None) -> float:
    return float("nan") if row is None or row.residual_after is None else row.residual_after


def _ranks(values: F64) -> F64:
    known = np.isfinite(values)
    ranks = np.full(len(values), 0.5)
    if known.any():
        ranks[known] = (rankdata(values[known]) - 0.5) / known.sum()
    return ranks


def choose(pairs: Sequence[Pair], posed: Mapping[str, PosedPair], count: int, seed: int) -> Choice:
    """A third of `count` from each end of the ranking, the rest at random (by a hash of the id)."""
    if not pairs:
        return Choice((), (), ())
    score = doubts(pairs, posed).mean
    order = sorted(range(len(pairs)), key=lambda k: (-score[k], pairs[k].pair_id))
    total = min(count, len(order))
    each = -(-total // 3)
    worst, rest = order[:each], order[each:]
    n_best = min(each, total - each)
    best, rest = rest[len(rest) - n_best :][::-1], rest[: len(rest) - n_best]
    drawn = sorted(rest, key=lambda k: _random_order(pairs[k].pair_id, seed))[
        : total - each - n_best
    ]
    worst_pairs, best_pairs, random_pairs = (
        tuple(pairs[k] for k in group) for group in (worst, best, drawn)
    )
    return Choice(worst_pairs, best_pairs, random_pairs)


def overlaid(
    pairs: Sequence[Pair], posed: Mapping[str, PosedPair], count: int, seed: int
) -> set[str]:
    """Ids of at most `count` posed pairs: largest and smallest residual, the rest at random.

    Adding or removing a pair changes few other cards.
    """
    known = sorted(
        (pair.pair_id for pair in pairs if np.isfinite(_residual(posed.get(pair.pair_id)))),
        key=lambda name: (_residual(posed[name]), name),
    )
    middle = sorted(known[1:-1], key=lambda name: _random_order(name, seed))
    return set([*known[:-2:-1], *known[:1], *middle][:count])


def _random_order(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
