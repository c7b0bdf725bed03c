"""What becomes of each unit of a stage: redone and why, reused, or removed and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pipeline.runtime.costs import ProvenanceCache
from pipeline.runtime.run import Run, Unit, key_of, reusable
from pipeline.runtime.store import RECEIPT, ItemStore, Receipt

Certainty = Literal["exact", "expected", "at most", "unknown"]
"""exact: nothing that is still to run decides it. expected, at most: as the name says, since a
stage before it has yet to run. unknown: not to be told before that."""

NEW = "new"
INPUT = "input changed"
PARAMETERS = "parameters changed"
THRESHOLDS = "thresholds changed"
CODE = "code version changed"
FORCED = "forced"
FAILED = "failed before"
LOST_FILES = "its files are gone"
STOPPED = "stopped while it was redone"
UNREMEMBERED = "changed (what is not remembered)"
LOST_INPUT = "lost its input"
NARROWED = "narrowed select"
FORGOTTEN = "its speaker is forgotten"
NOT_ADMITTED = "its split admits it no longer"
UNUSABLE = "its input can no longer be used"


class Plan(Protocol):
    """What the `plan` of every stage gives; some have `idle`, why there is nothing to do."""

    units: list[Unit]


@dataclass(frozen=True)
class Fates:
    """The units of one stage: to be redone and removed with the reason, and those reused.

    `idle` says why the stage does nothing (what lies there then stays), `certainty` how sure all
    of this is, `receipts` are those of the reused units, and `settled` are those to be redone whose
    outcome is known.
    """

    stage: str
    units: tuple[Unit, ...] = ()
    redo: Mapping[str, str] = field(default_factory=dict)
    removed: Mapping[str, str] = field(default_factory=dict)
    receipts: Mapping[str, Receipt] = field(default_factory=dict)
    idle: str | None = None
    certainty: Certainty = "exact"
    settled: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.certainty != "unknown" and len(self.redo) + len(self.receipts) != len(self.units):
            raise AssertionError(f"{self.stage}: {len(self.units)} units, not all have a fate")

    @property
    def is_done(self) -> bool:
        """Whether the stage would change nothing; a stage of unknown fate would."""
        return not self.redo and not self.removed and self.certainty != "unknown"

    @property
    def open_reasons(self) -> set[str]:
        """Why units are redone whose outcome is not known."""
        return {why for unit, why in self.redo.items() if unit not in self.settled}

    def why(self) -> dict[str, int]:
        """How many units are redone and removed for each reason."""
        return dict(sorted(Counter([*self.redo.values(), *self.removed.values()]).items()))


def fates_of(
    run: Run,
    stage: str,
    units: Sequence[Unit],
    idle: str | None = None,
    certainty: Certainty = "exact",
) -> Fates:
    """Compare a stage's units with what lies on the disk, as the stage itself would."""
    store, origins = run.items(stage), run.origins(stage)
    units = run.keyed(units) if stage != "demo" else units  # the corpus is the same in both
    receipts: dict[str, Receipt] = {}
    redo: dict[str, str] = {}
    for unit in units:
        receipt = reusable(run, store, unit)
        if receipt is not None:
            receipts[unit.name] = receipt
        else:
            redo[unit.name] = _why_redone(run, store, origins, unit)
    lost = [] if idle else sorted(store.units() - {unit.name for unit in units})
    removed = dict.fromkeys(lost, LOST_INPUT)
    return Fates(stage, tuple(units), redo, removed, receipts, idle, certainty)


def _why_redone(run: Run, store: ItemStore, origins: ProvenanceCache, unit: Unit) -> str:
    previous = store.receipt(unit.name)
    if previous is None:
        return LOST_FILES if store.path(unit.name, RECEIPT).is_file() else NEW
    if previous.is_retracted:
        return STOPPED
    if previous.key == unit.key:
        return FORCED if run.options.force else FAILED
    made = origins.of(unit.name, previous.key)
    if made is None:
        return UNREMEMBERED
    if unit.base and key_of(unit.base, made.thresholds) == previous.key:
        return THRESHOLDS
    if made.code != unit.code:
        return CODE
    return PARAMETERS if made.parameters != unit.parameters else INPUT
