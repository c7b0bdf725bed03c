"""What lies in two splits and must not: judged for the unit that the split goes by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

UNITS = ("speaker", "sentence", "speaker+sentence", "take")
_TOLD = 8


@dataclass(frozen=True)
class Placed:
    """One take in one split; `utterance_id` is the take without its view."""

    split: str
    speaker: str
    sentence: str | None
    utterance_id: str


def unit_name(unit: str, placed: Placed) -> str | None:
    """The name that the unit judges, as `split.unit_of`; None where no sentence is known."""
    if unit == "speaker":
        return placed.speaker
    if unit == "take":
        return placed.utterance_id
    if placed.sentence is None:
        return None
    return placed.sentence if unit == "sentence" else f"{placed.speaker}+{placed.sentence}"


def find_leaks(unit: str, placed: Iterable[Placed]) -> dict[str, tuple[str, ...]]:
    """The units that lie in more than one split, with their splits.

    A take without a sentence cannot be judged where the unit needs one, and is passed over.
    """
    if unit not in UNITS:
        raise ValueError(f"unit {unit!r} is none of {', '.join(UNITS)}")
    found: dict[str, set[str]] = defaultdict(set)
    for one in placed:
        name = unit_name(unit, one)
        if name is not None:
            found[name].add(one.split)
    return {name: tuple(sorted(found[name])) for name in sorted(found) if len(found[name]) > 1}


def leak_line(unit: str, leaks: Mapping[str, tuple[str, ...]]) -> str:
    """One line that names the first of them: `2 speakers lie in two splits: M003 (test, train)`."""
    told = ", ".join(f"{name} ({', '.join(leaks[name])})" for name in list(leaks)[:_TOLD])
    more = f" and {len(leaks) - _TOLD} more" if len(leaks) > _TOLD else ""
    verb = "lies" if len(leaks) == 1 else "lie"
    plural = "" if len(leaks) == 1 else "s"
    return f"{len(leaks)} {unit}{plural} {verb} in more than one split: {told}{more}"
