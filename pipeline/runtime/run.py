"""What a stage is given: a dataset, its parameters, its folders, and how to work on it."""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import OutOfOrderError, TableError
from pipeline.params import Dataset, Params
from pipeline.records import Row
from pipeline.runtime import executor
from pipeline.runtime.costs import ProvenanceCache, Rates
from pipeline.runtime.executor import Limits
from pipeline.runtime.progress import Progress, silent
from pipeline.runtime.store import FileHashes, ItemStore
from pipeline.runtime.tables import AnyRow, read_rows, read_table, write_rows


@dataclass(frozen=True)
class Options:
    """Settings that may differ between machines and never change a result.

    `shard` is (i, n): process only the i-th of n parts of the units, counted from 1. `limits` bound
    an item's time and memory; an item that exceeds them counts as failed. `gpus_per_worker` applies
    to stages whose networks run on GPUs.
    """

    engine: executor.EngineName = "processes"
    workers: int = 2
    shard: tuple[int, int] = (1, 1)
    force: bool = False
    retry_failed: bool = False
    limits: Limits = field(default_factory=Limits)
    gpus_per_worker: float = 1.0


@dataclass(frozen=True)
class Run:
    """One dataset, its parameters, the folder of its data, and the options."""

    dataset: str
    params: Params
    data: Path
    options: Options = field(default_factory=Options)
    progress: Progress = silent
    began_s: float = field(default_factory=time.perf_counter, compare=False)

    @property
    def entry(self) -> Dataset:
        """The dataset's entry of params.yaml."""
        return self.params.dataset(self.dataset)

    @property
    def forgotten(self) -> tuple[str, ...]:
        """The speakers whose data was deleted; every stage excludes them."""
        return tuple(self.params.forgotten.get(self.dataset, ()))

    def folder(self, stage: str) -> Path:
        """`data/<dataset>/<stage>`."""
        return self.data / self.dataset / stage

    def items(self, stage: str) -> ItemStore:
        """The stage's units on disk. Files of `shards` are published without their receipts."""
        folder = self.folder(stage)
        return ItemStore(folder / "items", folder / "data" if stage == "shards" else None)

    def table(self, stage: str, name: str) -> Path:
        """The path of a stage's table."""
        return self.folder(stage) / "tables" / f"{name}.parquet"

    def need(self, stage: str, name: str, kind: type[AnyRow]) -> list[AnyRow]:
        """The rows of an earlier stage's table.

        Raises
        ------
        OutOfOrderError
            If that stage has not run; the message names the command.
        """
        path = self.table(stage, name)
        self.check_finished(stage)
        if not path.is_file():
            raise OutOfOrderError(
                f"{stage} of {self.dataset} has not run yet; run first: "
                f"spfem-data {stage} --dataset {self.dataset}"
            )
        return read_rows(path, kind)

    def check_finished(self, stage: str) -> None:
        """Refuse to read a stage whose items may be newer than its tables.

        Raises
        ------
        OutOfOrderError
            When its last run was stopped, or other parts of it are missing.
        """
        if self.unfinished(stage).exists():
            raise OutOfOrderError(
                f"{self.dataset}'s {stage} was stopped before its end, or has parts left; run "
                f"first: spfem-data {stage} --dataset {self.dataset}"
            )

    def find(self, stage: str, name: str, kind: type[AnyRow]) -> list[AnyRow] | None:
        """The rows of an earlier stage's table; None if that stage has not run."""
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
        """The table that one unit of an earlier stage wrote, or some columns; see `read_table`."""
        return read_table(self.items(stage).path(unit, suffix), schema, columns)

    def unfinished(self, stage: str) -> Path:
        """A marker that exists while a stage's items may be newer than its tables."""
        return self.local(f"unfinished-{stage}")

    def hashes(self) -> FileHashes:
        """The cache of source files' hashes."""
        return FileHashes(self.local("hashes.json"))

    def local(self, name: str) -> Path:
        """A file that belongs to this machine: no output, and no result depends on it."""
        return self.data / self.dataset / ".local" / name

    def provenance(self, stage: str) -> ProvenanceCache:
        """What the stage's units were made with."""
        return ProvenanceCache(self.local(f"provenance-{stage}.json"))

    def rates(self) -> Rates:
        """What the stages cost in earlier runs."""
        return Rates(self.local("rates.json"))

    def write_tables(
        self, stage: str, tables: Mapping[str, tuple[type[Row], Sequence[Row]]]
    ) -> None:
        """Write the stage's tables, given by name as (kind, rows)."""
        for name, (kind, rows) in sorted(tables.items()):
            write_rows(self.table(stage, name), rows, kind)


def check_takes(stage: str, takes: Iterable[Any], clips: Container[str]) -> None:
    """Check that extract has the takes that another stage names.

    Raises
    ------
    TableError
        If it no longer has one.
    """
    missing = {take.take_id for take in takes if take.take_id not in clips}
    if missing:
        raise TableError(
            f"{stage} names take {min(missing)} that extract no longer has; rerun {stage}"
        )
