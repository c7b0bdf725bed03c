"""Run times of the stages on this machine, on a page of its own.

Outputs must not depend on the machine, so this page is in `.local`.
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
        """Worker seconds per unit in the fullest run; None if no unit was processed."""
        return self.fullest.busy_s / self.fullest.done if self.fullest.done else None


def timings(run: Run, stages: Sequence[str]) -> list[Timing]:
    """The recorded runs of each stage, in pipeline order."""
    rows = []
    for stage in stages:
        known = run.rates().known(stage)
        if known:
            fullest = max(reversed(known), key=lambda cost: cost.done)
            rows.append(Timing(stage, known[-1], fullest))
    return rows


def timings_page(run: Run, stages: Sequence[str]) -> str:
    """The page as text."""
    rows = timings(run, stages)
    longest = max((row.fullest.whole_s for row in rows), default=0.0)
    return template("timings.html.j2").render(dataset=run.dataset, rows=rows, longest=longest)
