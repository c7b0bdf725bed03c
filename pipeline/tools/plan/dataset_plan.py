"""The plan of a dataset: fates and prices of all stages, for people and for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.runtime.run import Run
from pipeline.tools.plan.calibration_run import try_takes
from pipeline.tools.plan.forecast import Foresight, foresee
from pipeline.tools.plan.pricing import Price, price_of
from pipeline.tools.plan.unit_status import Fates


@dataclass(frozen=True)
class StagePlan:
    """What one stage would do, and what that costs (None where it is not known)."""

    fates: Fates
    price: Price | None


@dataclass(frozen=True)
class WholePlan:
    """The plan of a dataset, in the order of the way, and what it rests on."""

    dataset: str
    stages: tuple[StagePlan, ...]
    seen: Foresight

    @property
    def seconds(self) -> float:
        """Of all stages whose price is known and that have anything to do."""
        return sum(one.price.seconds for one in self.open if one.price is not None)

    @property
    def least_seconds(self) -> float:
        """The same where all may stay of what is told as at most."""
        return sum(one.price.least_seconds for one in self.open if one.price is not None)

    @property
    def open(self) -> list[StagePlan]:
        """The stages that would change anything."""
        return [one for one in self.stages if not one.fates.is_done]

    @property
    def written_bytes(self) -> int:
        """What all stages would write, tables not counted."""
        return sum(one.price.written_bytes for one in self.open if one.price is not None)

    @property
    def growth_bytes(self) -> int:
        """By how much the data folder would grow; negative where it shrinks."""
        prices = [one.price for one in self.open if one.price is not None]
        return sum(price.disk_bytes - price.now_bytes for price in prices)

    @property
    def memory_mb(self) -> float:
        """Of the workers of the hungriest stage that has anything to do."""
        return max([one.price.memory_mb for one in self.open if one.price is not None], default=0.0)

    def told(self) -> dict[str, Any]:
        """The plan as plain values, every unit with its fate."""
        stages = {}
        for one in self.stages:
            fates = one.fates
            stages[fates.stage] = {
                "certainty": fates.certainty,
                "idle": fates.idle,
                "planned": len(fates.units),
                "run": dict(sorted(fates.redo.items())),
                "reused": sorted(fates.receipts),
                "removed": dict(sorted(fates.removed.items())),
                "price": None if one.price is None else asdict(one.price),
            }
        probed = self.seen.probed
        takes = probed and {
            "pending": len(probed.clips) + probed.n_unreadable,
            "duration_s": round(probed.duration_s, 3),
            "probed": probed.n_probed,
            "known": probed.n_known,
            "unreadable": probed.n_unreadable,
            "source_bytes": probed.source_bytes,
        }
        totals = {
            "seconds": self.seconds,
            "least_seconds": self.least_seconds,
            "written_bytes": self.written_bytes,
            "growth_bytes": self.growth_bytes,
            "memory_mb": self.memory_mb,
        }
        return {"dataset": self.dataset, "takes": takes, "stages": stages, "totals": totals}


def make_plan(
    run: Run, stages: Sequence[str], trial: int, step: Callable[[str], None] = lambda _: None
) -> WholePlan:
    """Plan the stages named, which are the first of the way.

    Parameters
    ----------
    trial
        How many takes are extracted to a folder that is then removed, where this machine has not
        extracted any of this dataset: its rates then come from them. 0: none.
    """
    seen = foresee(run, stages, step)
    clips = seen.probed.clips if seen.probed else {}
    found = []
    for stage in stages:
        fates = seen.fates[stage]
        is_new = stage == "extract" and fates.redo and not run.rates().known("extract")
        tried = try_takes(run, fates, clips, trial) if is_new and trial else None
        found.append(StagePlan(fates, price_of(run, fates, clips, tried)))
    return WholePlan(run.dataset, tuple(found), seen)
