"""How long the stages took on this machine: a page of its own beside no output.

Outputs must not tell of the machine that made them, so this one lies in `.local`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.runtime.costs import StageCost
from pipeline.runtime.run import Run
from pipeline.stages.report.page import template

TIMINGS = "timings.html"


@dataclass(frozen=True)
class Timing:
    """One stage: its last run, and the last one in which it did the most units."""

    stage: str
    last: StageCost
    fullest: StageCost

    @property
    def unit_s(self) -> float | None:
        """Seconds of one worker a unit, in the fullest run; None where nothing was done."""
        return self.fullest.busy_s / self.fullest.done if self.fullest.done else None


def timings(run: Run, stages: Sequence[str]) -> list[Timing]:
    """What is remembered of each stage, in the order of the way."""
    found = []
    for stage in stages:
        known = run.rates().known(stage)
        if known:
            fullest = max(reversed(known), key=lambda cost: cost.done)
            found.append(Timing(stage, known[-1], fullest))
    return found


def timings_page(run: Run, stages: Sequence[str]) -> str:
    """The page as text."""
    rows = timings(run, stages)
    longest = max((row.fullest.whole_s for row in rows), default=0.0)
    return template("timings.html.j2").render(dataset=run.dataset, rows=rows, longest=longest)
