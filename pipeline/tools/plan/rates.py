"""How long units take and how much they write: by the last large run here, else by defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import REASONS
from pipeline.runtime.costs import Rates, StageCost
from pipeline.runtime.run import Run
from spfem_data.labels import EMOTIONS

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


GRAINS: dict[str, Literal["take", "speaker", "dataset"]] = {
    "extract": "take", "sync": "speaker", "align": "speaker", "pose": "speaker", "score": "take",
    "invert": "take", "synth": "take",
}  # fmt: skip
"""What one unit of a stage reads. A unit of the other stages reads the whole dataset."""
_SPLITS = 3


@dataclass(frozen=True)
class Bound:
    """At most so many units, with that total effort (see `Unit.effort`)."""

    units: int
    effort: int


def grain_of(stage: str) -> str:
    """What one unit of a stage reads: a take, a speaker or the dataset."""
    return GRAINS.get(stage, "dataset")


def universe(run: Run, stage: str, takes: Mapping[str, str]) -> set[str]:
    """All unit names that a stage can have with these takes: `speaker/take` to emotion.

    Only for stages whose units are takes or speakers.
    """
    if grain_of(stage) == "speaker":
        return {_speaker(name) for name in takes}
    emotions = {"invert": EMOTIONS, "synth": run.params.synth.source_emotions}.get(stage)
    return {name for name, own in takes.items() if emotions is None or own in emotions}


def affected(names: Iterable[str], changed: Mapping[str, Iterable[str]]) -> set[str]:
    """The units among `names` that read what changed, given by stage."""
    names = set(names)
    if any(grain_of(stage) == "dataset" for stage in changed):
        return names
    touched = {unit for units in changed.values() for unit in units}
    speakers = {_speaker(unit) for unit in touched}
    return {n for n in names if n in touched or _speaker(n) in touched or n in speakers}


def bound_of_names(stage: str, names: set[str], takes: Mapping[str, str]) -> Bound:
    """The bound of a stage whose units are takes or speakers."""
    if grain_of(stage) == "take":
        return Bound(len(names), len(names))
    return Bound(len(names), sum(_speaker(take) in names for take in takes))


def bound_of_dataset(run: Run, stage: str, takes: Mapping[str, str]) -> Bound:
    """The bound of a stage whose units read the whole dataset."""
    speakers, section = {_speaker(name) for name in takes}, run.params.report
    if stage == "filter":
        return Bound(len(speakers), len(takes))
    if stage == "directions":
        each = len(speakers) if run.params.directions.speakers == "each" else 1
        return Bound(each * (len(EMOTIONS) - 1), each * (len(EMOTIONS) - 1))
    if stage == "shards":
        configs = run.params.shards.n_shards.model_dump()
        return Bound(_SPLITS * sum(configs.values()), len(configs) * len(takes))
    faces = min(len(takes), 2 * section.examples * len(REASONS))
    sheets = section.pairs + faces + 3 * len(EMOTIONS) + section.suspects + section.grids + 2
    return Bound(sheets, sheets)


def _speaker(name: str) -> str:
    return name.split("/", 1)[0]
