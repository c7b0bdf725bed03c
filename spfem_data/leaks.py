"""Leaks between splits: units of the split rule that are in more than one split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

UNITS = ("speaker", "sentence", "speaker+sentence", "take")
_LISTED = 8


@dataclass(frozen=True)
class Placed:
    """A take in a split; `utterance_id` is the take without its view."""

    split: str
    speaker: str
    sentence: str | None
    utterance_id: str


def unit_name(unit: str, placed: Placed) -> str | None:
    """The name of the take's unit; None if it needs a sentence that is unknown."""
    if unit == "speaker":
        return placed.speaker
    if unit == "take":
        return placed.utterance_id
    if placed.sentence is None:
        return None
    return placed.sentence if unit == "sentence" else f"{placed.speaker}+{placed.sentence}"


def find_leaks(unit: str, placed: Iterable[Placed]) -> dict[str, tuple[str, ...]]:
    """The units that are in more than one split, with their splits.

    Takes without a sentence are skipped if the unit needs one.
    """
    if unit not in UNITS:
        raise ValueError(f"unit {unit!r}: expected one of {', '.join(UNITS)}")
    splits: dict[str, set[str]] = defaultdict(set)
    for take in placed:
        name = unit_name(unit, take)
        if name is not None:
            splits[name].add(take.split)
    return {name: tuple(sorted(splits[name])) for name in sorted(splits) if len(splits[name]) > 1}


def leak_line(unit: str, leaks: Mapping[str, tuple[str, ...]]) -> str:
    """One line with the first few: `1 speaker is in more than one split: M003 (test, train)`."""
    listed = ", ".join(f"{name} ({', '.join(leaks[name])})" for name in list(leaks)[:_LISTED])
    more = f" and {len(leaks) - _LISTED} more" if len(leaks) > _LISTED else ""
    verb = "is" if len(leaks) == 1 else "are"
    plural = "" if len(leaks) == 1 else "s"
    return f"{len(leaks)} {unit}{plural} {verb} in more than one split: {listed}{more}"
