"""The plan of a dataset: what each stage would run, and the estimated time and disk space."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.errors import TableError
from pipeline.runtime.run import Run
from pipeline.runtime.store import FileHashes
from pipeline.runtime.summaries import summaries
from pipeline.runtime.tables import AnyRow
from pipeline.stages import READS, module_of
from pipeline.tools.plan.rates import (
    Bound,
    Rate,
    affected,
    bound_of_dataset,
    bound_of_names,
    grain_of,
    rate_of,
    universe,
)
from pipeline.tools.plan.unit_status import (
    FILES_MISSING,
    UnitStatus,
    unit_status,
    with_removal_reasons,
)


@dataclass(frozen=True)
class StagePlan:
    """What one stage would do.

    If a stage that it reads has to run first (`depends_on`), `status` is empty, and units
    (`at_most`), `seconds` and `n_bytes` are upper bounds. `idle` says why a stage has no units.
    `is_complete`: its tables exist. `notes` are on files of the corpus that were skipped.
    """

    stage: str
    status: UnitStatus = field(default_factory=UnitStatus)
    depends_on: str | None = None
    at_most: int | None = None
    idle: str | None = None
    seconds: float = 0.0
    n_bytes: int = 0
    rates_from: str = ""
    is_complete: bool = True
    notes: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether running the stage would change nothing."""
        changes = self.status.run or self.status.removed or self.depends_on
        return self.is_complete and not changes

    def reasons(self) -> dict[str, int]:
        """How many units run or are removed, by reason."""
        reasons = [*self.status.run.values(), *self.status.removed.values()]
        return dict(sorted(Counter(reasons).items()))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with every unit by name."""
        return {
            "run": dict(sorted(self.status.run.items())),
            "reused": list(self.status.reused),
            "removed": dict(sorted(self.status.removed.items())),
            "depends_on": self.depends_on,
            "at_most": self.at_most,
            "idle": self.idle,
            "seconds": self.seconds,
            "bytes": self.n_bytes,
            "rates_from": self.rates_from,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class DatasetPlan:
    """The plan of a dataset, stage by stage in the order of the pipeline."""

    dataset: str
    stages: tuple[StagePlan, ...]

    @property
    def pending(self) -> list[StagePlan]:
        """The stages that would change anything."""
        return [plan for plan in self.stages if not plan.is_done]

    def totals(self, *, with_bounds: bool) -> tuple[float, int]:
        """Seconds and bytes of all stages, with or without those known only as upper bounds."""
        plans = [plan for plan in self.stages if with_bounds or plan.depends_on is None]
        return sum(plan.seconds for plan in plans), sum(plan.n_bytes for plan in plans)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        least, most = self.totals(with_bounds=False), self.totals(with_bounds=True)
        return {
            "dataset": self.dataset,
            "stages": {plan.stage: plan.to_dict() for plan in self.stages},
            "totals": {
                "seconds": {"at_least": least[0], "at_most": most[0]},
                "bytes": {"at_least": least[1], "at_most": most[1]},
            },
        }


def make_plan(run: Run, stages: Sequence[str]) -> DatasetPlan:
    """Plan the named stages, which must be the first ones of the pipeline."""
    planner = _Planner(run)
    for stage in stages:
        planner.plans[stage] = planner.plan(stage)
    return DatasetPlan(run.dataset, tuple(planner.plans.values()))


class _Planner:
    """Plans stage by stage: `plans` holds those before, `changed` their units that may change."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.plans: dict[str, StagePlan] = {}
        self.changed: dict[str, set[str]] = {}
        self.emotions: dict[str, str] = {}  # of each take, by unit name

    def plan(self, stage: str) -> StagePlan:
        if stage == "demo" and self.run.entry.corpus != "demo":
            return StagePlan(stage, idle="not a demo dataset")
        reads = ("demo",) if stage == "extract" else READS[stage]
        pending = [name for name, plan in self.plans.items() if name in reads and not plan.is_done]
        return self._bounded(stage, pending) if pending else self._exact(stage)

    def _exact(self, stage: str) -> StagePlan:
        run = _Unhashed(**vars(self.run)) if self._is_first(stage) else self.run
        planned = importlib.import_module(module_of(stage)).plan(run)
        status = unit_status(run, stage, planned.units)
        idle = getattr(planned, "idle", None)
        if idle:  # the stage keeps its items for when it has its weights again
            status = replace(status, removed={})
        if stage == "demo" and not planned.whole and not status.run:
            status = UnitStatus({unit.name: FILES_MISSING for unit in planned.units})
        if stage == "demo":
            self.emotions = {f"{take.speaker}/{take.id}": take.emotion for take in planned.takes}
        if stage == "extract":
            status = with_removal_reasons(run, status, planned.rejects)
            self.emotions = {unit.name: unit.payload.take.emotion for unit in planned.units}
        self.changed[stage] = {*status.run, *status.removed}
        effort = sum(unit.effort for unit in planned.units if unit.name in status.run)
        plan = StagePlan(
            stage, status, idle=idle, is_complete=self._is_complete(stage, idle),
            notes=getattr(planned, "notes", ()),
        )  # fmt: skip
        return self._priced(plan, Bound(len(status.run), effort))

    def _bounded(self, stage: str, pending: Sequence[str]) -> StagePlan:
        plan = StagePlan(stage, depends_on=pending[0])
        idle = self._idle(stage)
        if idle:
            return replace(plan, idle=idle, at_most=0)
        if grain_of(stage) == "dataset":
            self.changed[stage] = set()
            bound = bound_of_dataset(self.run, stage, self.emotions)
        else:
            names = self._names_at_most(stage, pending)
            self.changed[stage] = names
            bound = bound_of_names(stage, names, self.emotions)
        return self._priced(replace(plan, at_most=bound.units), bound)

    def _names_at_most(self, stage: str, pending: Iterable[str]) -> set[str]:
        """Units that read what changes, that have no receipt, or that are outdated already."""
        names = universe(self.run, stage, self.emotions)
        is_complete = all(map(self._is_complete, READS[stage]))
        if stage == "extract" or self.run.options.force or not is_complete:
            return names
        try:
            planned = importlib.import_module(module_of(stage)).plan(_Lenient(**vars(self.run)))
        except TableError:  # the tables that it reads do not fit together until they are rewritten
            return names
        outdated = unit_status(self.run, stage, planned.units).run
        without = names - self.run.items(stage).units()
        changed = {name: self.changed.get(name, set()) for name in pending}
        return affected(names, changed) | without | (names & set(outdated))

    def _idle(self, stage: str) -> str | None:
        """Why a stage has nothing to do whatever it reads: it has no weights."""
        if stage not in ("score", "invert", "directions", "synth"):
            return None
        planned = importlib.import_module(module_of(stage)).plan(_Empty(**vars(self.run)))
        missing: str | None = planned.idle if stage == "score" else planned.chosen.missing
        return missing

    def _priced(self, plan: StagePlan, bound: Bound) -> StagePlan:
        if not bound.units:
            return plan
        rate: Rate = rate_of(self.run, plan.stage)
        options = self.run.options
        workers = 1 if options.engine == "serial" or plan.stage == "filter" else options.workers
        n_parallel = bound.effort if plan.stage == "demo" else bound.units  # one unit, by all
        return replace(
            plan,
            seconds=rate.seconds(bound.effort, n_parallel, workers),
            n_bytes=round(bound.effort * rate.unit_bytes),
            rates_from=rate.source,
        )

    def _is_first(self, stage: str) -> bool:
        return stage == "extract" and not self.run.items(stage).units()

    def _is_complete(self, stage: str, idle: str | None = None) -> bool:
        """Whether the stage's tables are there, and empty if it has nothing to do now."""
        if stage == "demo":
            return True
        summary = summaries(self.run, [stage])[stage]
        if summary is None or self.run.unfinished(stage).exists():
            return False
        return not (idle and summary["kept"])


class _NotHashed(FileHashes):
    """Hashes of files that were read before; a corpus never extracted is not read for a plan."""

    def sha256(self, path: Path, start: int = 0, length: int | None = None) -> str:
        """The remembered hash, else one that no file has."""
        return self.known(path, start, length) or "not read"


class _Unhashed(Run):
    """A run whose source files have not been read yet."""

    def hashes(self) -> FileHashes:
        """The hashes that are known."""
        return _NotHashed(self.local("hashes.json"))


class _Lenient(Run):
    """A run that reads the tables of interrupted stages."""

    def need(self, stage: str, name: str, kind: type[AnyRow]) -> list[AnyRow]:
        """The rows of a table; none if it is missing."""
        return self.find(stage, name, kind) or []


class _Empty(Run):
    """A run whose earlier stages gave nothing."""

    def need(self, stage: str, name: str, kind: type[AnyRow]) -> list[AnyRow]:
        """No rows."""
        return []
