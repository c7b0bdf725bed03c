"""How many units a stage runs at most while a stage that it reads has not run yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import REASONS
from pipeline.runtime.run import Run
from spfem_data.labels import EMOTIONS

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
