"""Stages without results: those that planned nothing and those that have not run, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.stages import SPECS

_PURPOSES = {spec.name: spec.purpose for spec in SPECS}


@dataclass(frozen=True)
class Idle:
    """Stages with nothing to do and their own notes; stages that have not run, and their purpose.

    `synthetic` tells why there are no synthetic families: the first of invert, directions and synth
    that planned nothing or has not run, or "".
    """

    without_work: Mapping[str, str]
    not_run: Mapping[str, str]
    synthetic: str


def idle(summaries: Mapping[str, Mapping[str, Any]], missing: Sequence[str]) -> Idle:
    """Sort out the stages without results from their summaries and the stages that have not run."""
    without_work = {
        stage: "; ".join(summary.get("notes", ())) or "nothing was planned"
        for stage, summary in summaries.items()
        if not summary["planned"]
    }
    without = [s for s in ("invert", "directions", "synth") if s in without_work or s in missing]
    purposes = {stage: _PURPOSES[stage] for stage in missing}
    return Idle(without_work, purposes, without[0] if without else "")
