"""Which units of a stage would run and why, which are reused, and which are removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline import corpora
from pipeline.records import Rejected
from pipeline.runtime.costs import ProvenanceCache
from pipeline.runtime.run import Run
from pipeline.runtime.store import RECEIPT, ItemStore
from pipeline.runtime.units import Unit, keyed, reusable

NEW = "new"
INPUT = "input changed"
PARAMETERS = "parameters changed"
CODE = "code version changed"
FORCED = "forced"
FAILED = "failed before"
FILES_MISSING = "output files missing"
INTERRUPTED = "interrupted"
UNRECORDED = "changed (cause not recorded)"
INPUT_MISSING = "input missing"
NOT_SELECTED = "outside select"
FORGOTTEN = "speaker deleted"
NOT_ADMITTED = "not admitted by the split"
UNUSABLE = "input unusable"


@dataclass(frozen=True)
class UnitStatus:
    """The units of one stage by name: to run and to remove, with the reason, and reused."""

    run: Mapping[str, str] = field(default_factory=dict)
    reused: tuple[str, ...] = ()
    removed: Mapping[str, str] = field(default_factory=dict)


def unit_status(run: Run, stage: str, units: Sequence[Unit]) -> UnitStatus:
    """Compare a stage's planned units with its receipts, as the stage itself does."""
    store, provenance = run.items(stage), run.provenance(stage)
    units = keyed(run, units) if stage != "demo" else units  # numerics do not change the corpus
    to_run = {
        unit.name: _why_run(run, store, provenance, unit)
        for unit in units
        if reusable(run, store, unit) is None
    }
    names = {unit.name for unit in units}
    removed = dict.fromkeys(sorted(store.units() - names), INPUT_MISSING)
    return UnitStatus(to_run, tuple(sorted(names - set(to_run))), removed)


def _why_run(run: Run, store: ItemStore, provenance: ProvenanceCache, unit: Unit) -> str:
    receipt = store.receipt(unit.name)
    if receipt is None:
        return FILES_MISSING if store.path(unit.name, RECEIPT).is_file() else NEW
    if receipt.is_retracted:
        return INTERRUPTED
    if receipt.key == unit.key:
        return FORCED if run.options.force else FAILED
    made_with = provenance.of(unit.name, receipt.key)
    if made_with is None:
        return UNRECORDED
    if made_with.code != unit.code:
        return CODE
    return PARAMETERS if made_with.parameters != unit.parameters else INPUT


def with_removal_reasons(run: Run, status: UnitStatus, rejects: Sequence[Rejected]) -> UnitStatus:
    """The status of extract, with the reasons why takes are no longer planned."""
    if not status.removed:
        return status
    rejected = {row.item: row.reason for row in rejects}
    select = type(run.entry.select)(speakers=[], emotions=[], levels=[], views=[])
    entry = run.entry.model_copy(update={"select": select})
    corpus = corpora.list_takes(run.dataset, entry, Path(run.entry.root))
    present = {take.take_id for take in corpus.takes}
    forgotten = {name.casefold() for name in run.forgotten}

    def why(unit: str) -> str:
        speaker, take = unit.split("/", 1)
        if speaker.casefold() in forgotten:
            return FORGOTTEN
        if take in rejected:
            reason = rejected[take]
            return NOT_ADMITTED if reason == "not_admitted" else f"{UNUSABLE} ({reason})"
        return NOT_SELECTED if take in present else INPUT_MISSING

    return replace(status, removed={unit: why(unit) for unit in status.removed})
