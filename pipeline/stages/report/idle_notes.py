"""Which stages had nothing to do and why: one note instead of empty tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SYNTHETIC = ("invert", "directions", "synth")


@dataclass(frozen=True)
class Asleep:
    """Stages that planned nothing: their own words, stage by stage, and whether they are synth's.

    `synthetic`: none of invert, directions and synth had anything to do.
    """

    stages: Mapping[str, str]
    synthetic: bool


def asleep(summaries: Mapping[str, Mapping[str, Any]]) -> Asleep:
    """The stages without work, by what they said when they ran."""
    found = {
        stage: "; ".join(summary.get("notes", ())) or "nothing was planned"
        for stage, summary in summaries.items()
        if not summary["planned"]
    }
    return Asleep(found, all(stage in found for stage in _SYNTHETIC))
