"""Units of work: reuse those whose key is unchanged, process the others, remove the rest."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pipeline.digests import digest
from pipeline.errors import PartDone
from pipeline.records import Rejected, rejected
from pipeline.runtime import executor, numerics
from pipeline.runtime.costs import Provenance, StageCost, UnitCost, peak_memory_mb, stage_cost
from pipeline.runtime.executor.local import share, visible
from pipeline.runtime.locks import Working
from pipeline.runtime.run import Options, Run
from pipeline.runtime.store import (
    ItemStore,
    Receipt,
    make_folder,
    names_together,
    sweep_temporaries,
    write_bytes,
)


@dataclass(frozen=True)
class Unit:
    """One unit of work: its name below the stage's items, its key, and the worker's input.

    `effort` is how many takes (pairs, files) the unit covers; `plan` multiplies it by measured
    rates. `code` and `parameters` are digests of those parts of the key, so that `plan` can say why
    a unit is redone.
    """

    name: str
    key: str
    payload: Any
    effort: int = 1
    code: str = ""
    parameters: str = ""

    @property
    def provenance(self) -> Provenance:
        """What the unit is made with."""
        return Provenance(self.code, self.parameters)


@dataclass
class UnitResult:
    """A worker's result for one unit: suffixes of the files written, rows by table, rejects."""

    suffixes: list[str] = field(default_factory=list)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rejects: list[Rejected] = field(default_factory=list)


Worker = Callable[[Any, ItemStore, str, Any], UnitResult]
"""The function of one stage: (state, store, unit name, payload) -> result.

It writes the unit's files to `store.path(unit, suffix)`, each complete or not at all.
"""


def no_setup() -> None:
    """The setup of a worker that needs none."""


@dataclass(frozen=True)
class Batch:
    """The receipts of all units of a stage, sorted by name, and how many were processed."""

    receipts: dict[str, Receipt]
    done: int
    reused: int
    removed: int
    cost: StageCost | None = None

    def numerics(self) -> list[dict[str, Any]]:
        """The distinct numerics fingerprints of the receipts, in a fixed order."""
        texts = {json.dumps(receipt.numerics, sort_keys=True) for receipt in self.receipts.values()}
        return [json.loads(text) for text in sorted(texts)]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """All rows of that name, in the order of the units."""
        return [row for receipt in self.receipts.values() for row in receipt.rows.get(name, ())]

    def rejects(self) -> list[Rejected]:
        """All rejects, sorted by grain, item and reason."""
        rejects = [Rejected.from_row(row) for row in self.rows("rejected")]
        return sorted(rejects, key=lambda r: (r.grain, r.item, r.reason))


def keyed(run: Run, units: Iterable[Unit]) -> list[Unit]:
    """Units with the keys they have under the run's numerics: native mode gives other bytes."""
    if run.params.numerics == "portable":
        return list(units)
    return [replace(unit, key=digest([unit.key, run.params.numerics])) for unit in units]


def reusable(run: Run, store: ItemStore, unit: Unit) -> Receipt | None:
    """The receipt of a unit that the run's options do not require to be redone, else None."""
    if run.options.force:
        return None
    receipt = store.current(unit.name, unit.key)
    if receipt is not None and run.options.retry_failed:
        failed = any(row["kind"] == "failed" for row in receipt.rows.get("rejected", ()))
        return None if failed else receipt
    return receipt


def run_units(
    run: Run,
    stage: str,
    grain: str,
    units: Sequence[Unit],
    work: Worker,
    setup: Callable[[], Any] = no_setup,
    device: str = "cpu",
) -> Batch:
    """Process the units whose key changed, reuse the others, remove those no longer planned.

    With `device` cuda there are as many workers as the GPUs have room for, each with its own share.

    Raises
    ------
    PartDone
        When this process has done its `--shard` and other parts are still missing.
    """
    store, units = run.items(stage), keyed(run, units)
    for folder in (store.folder, store.outputs):
        make_folder(folder)  # DVC requires its outputs to exist, even if empty
    names = [unit.name for unit in units]
    if len(set(names)) != len(names):
        raise AssertionError(f"{stage}: two units share a name")
    known = {unit.name: reusable(run, store, unit) for unit in units}
    todo = [u for u in units if known[u.name] is None and _is_mine(u.name, run.options.shard)]
    if todo:
        write_bytes(run.unfinished(stage), b"")
    began_s, costs = time.perf_counter(), dict[str, UnitCost]()
    for name, receipt, cost in _process(run, stage, grain, todo, work, setup, device):
        known[name] = receipt
        if cost is not None:
            costs[name] = cost
    loop_s = time.perf_counter() - began_s
    receipts = _complete(run, stage, grain, units, known)
    removed = store.prune(names)
    if run.options.shard[1] == 1:  # other parts may be writing
        store.sweep(receipts)
        sweep_temporaries(run.folder(stage), without=(store.folder, store.outputs))
    run.provenance(stage).keep({unit.name: (unit.key, unit.provenance) for unit in units})
    total = stage_cost(
        costs.values(), planned=len(units), loop_s=loop_s,
        effort=sum(unit.effort for unit in units if unit.name in costs),
        workers=0 if run.options.engine == "serial" else max(run.options.workers, 1),
        out_bytes=sum(store.size(receipts[name]) for name in costs),
    )  # fmt: skip
    return Batch(receipts, len(todo), len(units) - len(todo), len(removed), total)


def _process(
    run: Run,
    stage: str,
    grain: str,
    units: Sequence[Unit],
    work: Worker,
    setup: Callable[[], Any],
    device: str,
) -> Iterable[tuple[str, Receipt, UnitCost | None]]:
    """Receipt and cost of each unit, as they finish; a unit whose worker died has no cost."""
    store, by_name = run.items(stage), {unit.name: unit for unit in units}
    outcomes: Iterable[tuple[str, Any]] = executor.run(
        partial(_work, work, store, device),
        by_name,
        setup=Working(run.data / run.dataset, stage, run.options.shard, setup),
        engine=run.options.engine,
        limits=run.options.limits,
        **_workers(run.options, device if units else "cpu"),
    )
    with run.progress(f"{stage} {run.dataset}", len(units)) as step:
        for name, outcome in outcomes:
            failure = _failure(outcome, by_name[name])
            if failure is None:
                yield name, *outcome
            else:
                row = rejected(stage, grain, name, failure.reason, failure.detail)
                made_with = numerics.fingerprint(numerics.computing(), device)
                rows = {"rejected": [row.to_row()]}
                yield name, store.commit(name, by_name[name].key, [], rows, made_with), None
            step()


def _complete(
    run: Run, stage: str, grain: str, units: Sequence[Unit], known: Mapping[str, Receipt | None]
) -> dict[str, Receipt]:
    """All units' receipts, sorted by name; those of other parts are read again."""
    store, receipts, n_missing = run.items(stage), dict[str, Receipt](), 0
    for unit in sorted(units, key=lambda unit: unit.name):
        receipt = known[unit.name] or store.current(unit.name, unit.key)
        if receipt is None:
            n_missing += 1
        else:
            receipts[unit.name] = receipt
    if n_missing:
        i, n = run.options.shard
        raise PartDone(
            f"{stage}: part {i}/{n} is done; {n_missing} {grain}s are left to the other parts; "
            "when all are done, run it once without --shard"
        )
    return receipts


def _is_mine(name: str, shard: tuple[int, int]) -> bool:
    """Whether a unit belongs to part i of n, decided by a stable hash of its name."""
    i, n = shard
    return int(hashlib.sha256(name.encode()).hexdigest()[:15], 16) % n == i - 1


def _work(
    work: Worker, store: ItemStore, device: str, state: Any, unit: Unit
) -> tuple[Receipt, UnitCost]:
    began_s = time.perf_counter()
    store.retract(unit.name)
    with names_together():
        result = work(state, store, unit.name, unit.payload)
    rows = {**result.rows, "rejected": [reject.to_row() for reject in result.rejects]}
    made_with = numerics.fingerprint(numerics.computing(), device)
    receipt = store.commit(unit.name, unit.key, result.suffixes, rows, made_with)
    return receipt, UnitCost(time.perf_counter() - began_s, peak_memory_mb())


def _workers(options: Options, device: str) -> dict[str, Any]:
    """The executor's number of workers, and their GPUs."""
    if device != "cuda" or options.engine == "serial":
        return {"workers": options.workers}
    if options.engine == "ray":
        return {"workers": options.workers, "gpus": options.gpus_per_worker}
    devices = share(visible(), options.gpus_per_worker)
    return {"workers": len(devices), "devices": devices}


def _failure(outcome: Any, unit: Unit) -> executor.Died | None:
    """How a unit was lost; None if the outcome is what `_work` returns for this very unit."""
    if isinstance(outcome, executor.Died):
        return outcome
    match outcome:
        case (Receipt(unit=unit.name, key=unit.key), UnitCost()):
            return None
    return executor.InvalidResult(1)
