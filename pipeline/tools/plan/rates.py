"""How long units take and how much they write: by the last large run here, else by defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.runtime.costs import Rates, StageCost
from pipeline.runtime.run import Run

DEFAULTS = {
    "demo": (1.2, 1.7, 428e3),
    "extract": (0.47, 1.6, 1.87e6),
    "sync": (0.02, 4.0, 1.6e3),
    "align": (0.033, 3.1, 4.7e3),
    "pose": (0.011, 0.7, 6.7e3),
    "score": (0.18, 7.6, 20e3),
    "filter": (2e-4, 0.6, 450.0),
    "invert": (0.29, 5.2, 79e3),
    "directions": (6.0, 5.9, 28e3),
    "synth": (3.3, 7.8, 277e3),
    "shards": (0.12, 1.3, 488e3),
    "report": (0.18, 7.6, 95e3),
}
"""Per stage: seconds of one worker for a unit's effort of 1 (a take of 2 s; a pair in pose, a
direction, an item of a shard, a sheet of the report), seconds of overhead, and bytes for an effort
of 1. Measured with the demo and its networks on two cores of a cloud machine."""


@dataclass(frozen=True)
class Rate:
    """Seconds of one worker and bytes for a unit's effort of 1, and the stage's overhead.

    `source` says where the rate was measured.
    """

    unit_s: float
    overhead_s: float
    unit_bytes: float
    source: str

    def seconds(self, effort: float, n_units: int, workers: int) -> float:
        """How long `n_units` with that total effort take on so many workers."""
        return self.overhead_s + effort * self.unit_s / max(min(workers, n_units), 1)


def rate_of(run: Run, stage: str) -> Rate:
    """The rate of a stage: of this dataset's runs, else of another dataset's, else a default."""
    rate = _measured(run.rates().known(stage), f"measured on {run.dataset}")
    for file in sorted(run.data.glob("*/.local/rates.json")) if rate is None else ():
        dataset = file.parent.parent.name
        rate = rate or _measured(Rates(file).known(stage), f"measured on {dataset}")
    return rate or Rate(*DEFAULTS[stage], source="defaults")


def _measured(runs: Sequence[StageCost], source: str) -> Rate | None:
    """The rate of the run with the most work, the last of equals: small ones are mostly start-up.

    A change that affects the speed of all units makes all of them run, so its run counts.
    """
    cost = max(reversed(runs), key=lambda cost: cost.effort, default=None)
    if cost is None or not cost.effort:
        return None
    overhead_s = max(cost.whole_s - cost.busy_s / max(cost.processes, 1), 0.0)
    return Rate(cost.busy_s / cost.effort, overhead_s, cost.out_bytes / cost.effort, source)
