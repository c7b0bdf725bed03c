"""What a stage is given, and the shell that all stages share: plan, reuse, work, tables, counts."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.digests import digest
from pipeline.errors import OutOfOrderError, PartDone
from pipeline.params import Dataset, Params
from pipeline.records import Rejected, Row, rejected
from pipeline.runtime import executor, numerics, summary_file
from pipeline.runtime.costs import Cost, Provenance, ProvenanceCache, Rates, Spent, Stopwatch, spent
from pipeline.runtime.executor import Limits
from pipeline.runtime.executor.devices import share, visible
from pipeline.runtime.locks import Working
from pipeline.runtime.progress import Progress, Silent
from pipeline.runtime.store import (
    FileHashes,
    ItemStore,
    Receipt,
    make_folder,
    names_together,
    sweep_temporaries,
    write_bytes,
    write_json,
)
from pipeline.runtime.summary_file import read_summary
from pipeline.runtime.tables import AnyRow, read_rows, read_table, write_rows

_LASTING = ("stage", "dataset", "grain", "planned", "kept", "reasons", "notes", "look")


@dataclass(frozen=True)
class Options:
    """What may change from machine to machine and never changes a result.

    `shard` is (i, n): do only the i-th of n parts of the units, counted from 1. `limits` bound what
    an item may take of the machine; one that is ended by them counts as failed. `gpus_per_worker`
    concerns the stages whose networks run on GPUs.
    """

    engine: executor.EngineName = "processes"
    workers: int = 2
    shard: tuple[int, int] = (1, 1)
    force: bool = False
    retry_failed: bool = False
    limits: Limits = field(default_factory=Limits)
    gpus_per_worker: float = 1.0


@dataclass(frozen=True)
class Unit:
    """One unit of work: its name below the stage's items, its key, what the worker is given.

    `effort` is how much work it is, in the stage's own measure (frames, seconds of sound), and
    `volume` how much it writes, if that is not the same; `code` and `parameters` tell of the key's
    parts, so that `plan` can say why a unit is redone. Where the key is that of `key_of`, `base`
    and `thresholds` are what it was made of.
    """

    name: str
    key: str
    payload: Any
    effort: float = 1.0
    volume: float | None = None
    code: str = ""
    parameters: str = ""
    base: str = ""
    thresholds: str = ""

    @property
    def made(self) -> Provenance:
        """What it is made with."""
        return Provenance(self.code, self.parameters, self.thresholds)


def key_of(base: str, thresholds: str) -> str:
    """A key out of the digest of all else and that of thresholds, so that `plan` can tell whether
    a unit's last key differed in thresholds alone."""
    return digest([base, thresholds])


@dataclass
class UnitResult:
    """What the worker says of one unit: the suffixes of the files written, rows, rejects.

    `effort` is the unit's, where only the work shows it.
    """

    suffixes: list[str] = field(default_factory=list)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rejects: list[Rejected] = field(default_factory=list)
    effort: float | None = None


@dataclass(frozen=True)
class Summary:
    """One stage's count: kept + rejected == planned."""

    stage: str
    dataset: str
    grain: str
    planned: int
    kept: int
    reasons: Mapping[str, int]
    done: int
    reused: int
    removed: int
    notes: tuple[str, ...] = ()
    look: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lost = self.planned - self.kept - sum(self.reasons.values())
        if lost:
            raise AssertionError(
                f"{self.stage}: {lost} of {self.planned} {self.grain} unaccounted for"
            )


@dataclass(frozen=True)
class Run:
    """One dataset, its parameters, where its data lies, and how to work on it."""

    dataset: str
    params: Params
    data: Path
    options: Options = field(default_factory=Options)
    progress: Progress = field(default_factory=Silent)
    began_s: float = field(default_factory=time.perf_counter, compare=False)

    @property
    def entry(self) -> Dataset:
        """The dataset's entry of params.yaml."""
        return self.params.dataset(self.dataset)

    @property
    def forgotten(self) -> tuple[str, ...]:
        """The speakers who are as if they were not there."""
        return tuple(self.params.forgotten.get(self.dataset, ()))

    def keyed(self, units: Iterable[Unit]) -> list[Unit]:
        """Units with the keys that they have in the run's numerics: native gives other bytes."""
        if self.params.numerics == "portable":
            return list(units)
        return [replace(unit, key=digest([unit.key, self.params.numerics])) for unit in units]

    def folder(self, stage: str) -> Path:
        """`data/<dataset>/<stage>`."""
        return self.data / self.dataset / stage

    def items(self, stage: str) -> ItemStore:
        """The stage's units on disk; what `shards` gives is published, its receipts are not."""
        folder = self.folder(stage)
        return ItemStore(folder / "items", folder / "data" if stage == "shards" else None)

    def table(self, stage: str, name: str) -> Path:
        """Where a stage's table lies."""
        return self.folder(stage) / "tables" / f"{name}.parquet"

    def need(self, stage: str, name: str, kind: type[AnyRow]) -> list[AnyRow]:
        """The rows of an earlier stage's table.

        Raises
        ------
        OutOfOrderError
            When that stage has not run; the message names the command.
        """
        path = self.table(stage, name)
        if self.unfinished(stage).exists():
            raise OutOfOrderError(
                f"{self.dataset}'s {stage} was stopped before its end, or has parts left; run "
                f"first: spfem-data {stage} --dataset {self.dataset}"
            )
        if not path.is_file():
            raise OutOfOrderError(
                f"{self.dataset} has no {stage} yet; run first: "
                f"spfem-data {stage} --dataset {self.dataset}"
            )
        return read_rows(path, kind)

    def find(self, stage: str, name: str, kind: type[AnyRow]) -> list[AnyRow] | None:
        """The rows of an earlier stage's table, None where that stage has not run."""
        path = self.table(stage, name)
        return read_rows(path, kind) if path.is_file() else None

    def read_item(
        self,
        stage: str,
        unit: str,
        suffix: str,
        columns: Sequence[str] | None = None,
        schema: pa.Schema | None = None,
    ) -> pa.Table:
        """The table that one unit of an earlier stage wrote, or columns of it; see `read_table`."""
        return read_table(self.items(stage).path(unit, suffix), schema, columns)

    def unfinished(self, stage: str) -> Path:
        """There while a stage's items may be newer than its tables: nobody may read them then."""
        return self.local(f"unfinished-{stage}")

    def hashes(self) -> FileHashes:
        """The memory of source files' hashes: local, no output."""
        return FileHashes(self.local("hashes.json"))

    def local(self, name: str) -> Path:
        """A file of this machine's memory: no output, and no result depends on it."""
        return self.data / self.dataset / ".local" / name

    def origins(self, stage: str) -> ProvenanceCache:
        """The memory of what a stage's units were made with."""
        return ProvenanceCache(self.local(f"origins-{stage}.json"))

    def rates(self) -> Rates:
        """The memory of what the stages cost."""
        return Rates(self.local("rates.json"))

    def write_tables(
        self, stage: str, tables: Mapping[str, tuple[type[Row], Sequence[Row]]]
    ) -> None:
        """Write the stage's tables, each a (kind, rows)."""
        for name, (kind, rows) in sorted(tables.items()):
            write_rows(self.table(stage, name), rows, kind)


Worker = Callable[[Any, ItemStore, str, Any], UnitResult]
"""The function of one stage, (state, store, unit's name, payload) -> outcome.

It writes the unit's files to `store.path(unit, suffix)`, whole or not at all.
"""


def nothing() -> None:
    """The setup of a worker that needs none."""


@dataclass(frozen=True)
class Batch:
    """All receipts of a stage after its units were brought up to date."""

    receipts: dict[str, Receipt]
    done: int
    reused: int
    removed: int
    spent: Spent | None = None

    def numerics(self) -> list[dict[str, Any]]:
        """The different fingerprints of the receipts, in a fixed order."""
        found = {json.dumps(receipt.numerics, sort_keys=True) for receipt in self.receipts.values()}
        return [json.loads(text) for text in sorted(found)]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """All rows of that name, in the order of the units."""
        return [row for receipt in self.receipts.values() for row in receipt.rows.get(name, ())]

    def rejects(self) -> list[Rejected]:
        """All rejects, sorted by grain and item."""
        found = [Rejected.from_row(row) for row in self.rows("rejected")]
        return sorted(found, key=lambda r: (r.grain, r.item, r.reason))


def run_units(
    run: Run,
    stage: str,
    grain: str,
    units: Sequence[Unit],
    work: Worker,
    setup: Callable[[], Any] = nothing,
    device: str = "cpu",
) -> Batch:
    """Redo the units whose key changed, reuse the others, remove those that are no longer planned.

    With `device` cuda there are as many workers as there are GPUs for, each with its own.

    Raises
    ------
    PartDone
        When this process did its `--shard` and other parts are still missing.
    """
    store, units = run.items(stage), run.keyed(units)
    for folder in (store.folder, store.outputs):
        make_folder(folder)  # an output of DVC, even where nothing is made
    names = [unit.name for unit in units]
    if len(set(names)) != len(names):
        raise AssertionError(f"{stage}: two units share a name")
    known = {unit.name: reusable(run, store, unit) for unit in units}
    todo = [u for u in units if known[u.name] is None and _mine(u.name, run.options.shard)]
    if todo:
        write_bytes(run.unfinished(stage), b"")
    run.progress.start(f"{stage} {run.dataset}", len(todo))
    began_s, costs = time.perf_counter(), dict[str, Cost]()
    outcomes: Iterable[tuple[str, Any]] = executor.run(
        partial(_work, work, store, device),
        {unit.name: unit for unit in todo},
        setup=Working(run.data / run.dataset, stage, run.options.shard, setup),
        engine=run.options.engine,
        limits=run.options.limits,
        **_places(run.options, device if todo else "cpu"),
    )
    by_name = {unit.name: unit for unit in units}
    for name, outcome in outcomes:
        lost = _lost(outcome, by_name[name])
        if lost is None:
            known[name], costs[name] = outcome
        else:
            row = rejected(stage, grain, name, lost.reason, lost.detail)
            made_with = numerics.fingerprint(numerics.assigned(), device)
            rows = {"rejected": [row.to_row()]}
            known[name] = store.commit(name, by_name[name].key, [], rows, made_with)
        run.progress.step()
    run.progress.stop()
    loop_s = time.perf_counter() - began_s
    for unit in units:
        if known[unit.name] is None:  # another part may have done it meanwhile
            known[unit.name] = store.current(unit.name, unit.key)
    missing = [name for name, receipt in known.items() if receipt is None]
    if missing:
        i, n = run.options.shard
        raise PartDone(
            f"{stage}: part {i}/{n} is done; {len(missing)} {grain}s are left to the other parts; "
            "when all are done, run it once without --shard"
        )
    removed = store.prune(names)
    receipts = {name: receipt for name, receipt in sorted(known.items()) if receipt is not None}
    if run.options.shard[1] == 1:  # other parts may be writing
        store.sweep(receipts)
        sweep_temporaries(run.folder(stage), without=(store.folder, store.outputs))
    run.origins(stage).keep({unit.name: (unit.key, unit.made) for unit in units})
    cost = spent(
        costs.values(), planned=[unit.effort for unit in units], loop_s=loop_s,
        workers=0 if run.options.engine == "serial" else max(run.options.workers, 1),
        out_bytes=sum(receipts[name].n_bytes for name in costs),
    )  # fmt: skip
    return Batch(receipts, len(todo), len(units) - len(todo), len(removed), cost)


def reusable(run: Run, store: ItemStore, unit: Unit) -> Receipt | None:
    """The receipt of a unit that need not be redone under the run's options, else None."""
    if run.options.force:
        return None
    receipt = store.current(unit.name, unit.key)
    if receipt is not None and run.options.retry_failed:
        failed = any(row["kind"] == "failed" for row in receipt.rows.get("rejected", ()))
        return None if failed else receipt
    return receipt


def _mine(name: str, shard: tuple[int, int]) -> bool:
    """Whether a unit belongs to part i of n: by a stable hash of its name."""
    i, n = shard
    return int(hashlib.sha256(name.encode()).hexdigest()[:15], 16) % n == i - 1


def _work(
    work: Worker, store: ItemStore, device: str, state: Any, unit: Unit
) -> tuple[Receipt, Cost]:
    watch = Stopwatch(work.__module__)
    store.retract(unit.name)
    with names_together():
        outcome = work(state, store, unit.name, unit.payload)
    rows = {**outcome.rows, "rejected": [reject.to_row() for reject in outcome.rejects]}
    made_with = numerics.fingerprint(numerics.assigned(), device)
    receipt = store.commit(unit.name, unit.key, outcome.suffixes, rows, made_with)
    effort = unit.effort if outcome.effort is None else outcome.effort
    return receipt, watch.cost(effort, effort if unit.volume is None else unit.volume)


def _places(options: Options, device: str) -> dict[str, Any]:
    """How many workers the engine is to have, and on which GPUs."""
    if device != "cuda" or options.engine == "serial":
        return {"workers": options.workers}
    if options.engine == "ray":
        return {"workers": options.workers, "gpus": options.gpus_per_worker}
    devices = share(visible(), options.gpus_per_worker)
    return {"workers": len(devices), "devices": devices}


def _lost(outcome: Any, unit: Unit) -> executor.Died | None:
    """How an item was lost; None where its outcome is what `_work` gives of this very unit."""
    if isinstance(outcome, executor.Died):
        return outcome
    match outcome:
        case (Receipt(unit=unit.name, key=unit.key), Cost()):
            return None
    return executor.InvalidResult(1)


def summarise(
    stage: str,
    run: Run,
    grain: str,
    planned: int,
    kept: int,
    rejects: Iterable[Rejected],
    batch: Batch,
    notes: Sequence[str] = (),
    look: Sequence[str] = (),
) -> Summary:
    """The stage's count over its main grain, kept beside its tables; other grains are not counted.

    What was redone or reused is in the summary that is returned, not in the file: it differs from
    run to run, and outputs must not.
    """
    reasons = Counter(reject.reason for reject in rejects if reject.grain == grain)
    summary = Summary(
        stage, run.dataset, grain, planned, kept, dict(sorted(reasons.items())),
        batch.done, batch.reused, batch.removed, tuple(notes), tuple(look),
    )  # fmt: skip
    lasting = {name: getattr(summary, name) for name in _LASTING}
    lasting["look"] = [_below(run.data, place) for place in look]
    lasting["numerics"] = batch.numerics()
    write_json(run.folder(stage) / "tables" / summary_file.NAME, lasting)
    run.unfinished(stage).unlink(missing_ok=True)
    if batch.spent is not None:
        whole_s = time.perf_counter() - run.began_s
        run.rates().remember(stage, replace(batch.spent, whole_s=whole_s))
    return summary


def _below(folder: Path, place: str) -> str:
    """A path relative to the data folder: an output must not tell where it was made."""
    path = Path(place)
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else place


def summaries(run: Run, stages: Sequence[str]) -> dict[str, dict[str, Any] | None]:
    """What each stage last counted, None where it has not run.

    Raises
    ------
    TableError
        Where a broken disk left something else.
    """
    return {stage: read_summary(run.folder(stage)) for stage in stages}
