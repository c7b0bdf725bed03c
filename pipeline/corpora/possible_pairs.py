"""How many clip pairs a corpus can give, judged by names alone, and what prevents more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from pipeline.params import Align, SplitRule
from pipeline.records import Take
from pipeline.splits import admitted

_NEUTRAL = "neutral"
_SHOWN = 3


@dataclass(frozen=True)
class PossiblePairs:
    """An upper bound of clip pairs: align also compares the audio. `reasons` are sentences."""

    count: int
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        bound = f"at most {self.count}" if self.count else "0"
        shown = "; ".join(self.reasons[:_SHOWN])
        more = f"; and {len(self.reasons) - _SHOWN} more" if len(self.reasons) > _SHOWN else ""
        because = f", because {shown}{more}" if not self.count and shown else ""
        return f"pairs possible: {bound}" + (because or (f"; {shown}{more}" if shown else ""))


def possible_pairs(takes: Iterable[Take], rule: SplitRule, params: Align) -> PossiblePairs:
    """Pairs of one speaker, view and sentence, as `align.pairs` asks.

    A take whose sentence is not known may say any sentence.
    """
    by_speaker: dict[str, list[Take]] = defaultdict(list)
    for take in takes:
        by_speaker[take.speaker].append(take)
    left_out = sorted(speaker for speaker in by_speaker if not admitted(rule, speaker))
    count, reasons = 0, [f"the split does not include {', '.join(left_out)}"] if left_out else []
    for speaker in sorted(set(by_speaker) - set(left_out)):
        pairs, why = _of_speaker(speaker, by_speaker[speaker], params)
        count, reasons = count + pairs, reasons + why
    return PossiblePairs(count, tuple(reasons if by_speaker else ["there are no takes"]))


def _of_speaker(speaker: str, takes: Sequence[Take], params: Align) -> tuple[int, list[str]]:
    if params.pairs == "all":
        return sum(a.emotion != b.emotion and _fit(a, b) for a, b in combinations(takes, 2)), []
    neutral = [take for take in takes if take.emotion == _NEUTRAL]
    others = [take for take in takes if take.emotion != _NEUTRAL]
    if not neutral:
        return 0, [f"{speaker} has no neutral take"]
    if not others:
        return 0, [f"{speaker} has only neutral takes"]
    alone = sum(not any(_fit(a, b) for a in neutral) for b in others)
    why = f"{alone} of {len(others)} takes of {speaker} lack a neutral take of view and sentence"
    return len(others) - alone, [why] if alone else []


def _fit(a: Take, b: Take) -> bool:
    return a.view == b.view and (a.sentence == b.sentence or None in (a.sentence, b.sentence))
