"""Rows of a version of the shards: by clip pair with a digest of each column, and as tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.tools.inspect.manifest import DAMAGE, Listed, Manifest
from spfem_data.schema import media_columns

_STAGES = ("shards", "pose", "align", "extract")


@dataclass
class PairRows:
    """One clip pair of one version: takes, split, frame pairs, and a digest of each column."""

    takes: tuple[str, str]
    split: str
    ids: set[str] = field(default_factory=set)
    digests: dict[str, Any] = field(default_factory=dict)

    def add(self, row: dict[str, Any]) -> None:
        """Add the next row."""
        self.ids.add(row["sample_id"])
        for name, value in row.items():
            content = value["bytes"] if isinstance(value, dict) else repr(value).encode()
            self.digests.setdefault(name, hashlib.blake2b(digest_size=16)).update(content)


@dataclass(frozen=True)
class KnownReject:
    """A row of a stage's rejected table."""

    stage: str
    reason: str
    detail: str


def files_of(manifest: Manifest, config: str) -> dict[str, Listed]:
    """The files of a config by path."""
    return {one.path: one for one in manifest.files if one.config == config}


def read_config(folder: Path, files: Iterable[str], names: Sequence[str]) -> pa.Table:
    """Those of the named columns that files have, as one table."""
    tables = []
    for path in files:
        with pq.ParquetFile(folder / path) as file:
            there = [name for name in names if name in file.schema_arrow.names]
            tables.append(file.read(columns=there))
    return pa.concat_tables(tables) if tables else pa.table({name: [] for name in names})


def read_pairs(folder: Path, manifest: Manifest, *, with_images: bool) -> dict[str, PairRows]:
    """The clip pairs of a version; one row group is in memory at a time."""
    pairs: dict[str, PairRows] = {}
    left_out = () if with_images else media_columns("pairs")
    for path in files_of(manifest, "pairs"):
        with pq.ParquetFile(folder / path) as file:
            names = [name for name in file.schema_arrow.names if name not in left_out]
            for group in range(file.num_row_groups):
                for row in file.read_row_group(group, columns=names).to_pylist():
                    new = PairRows((row["take_a"], row["take_b"]), row["split"])
                    pairs.setdefault(row["pair_id"], new).add(row)
    return pairs


def changed_columns(was: PairRows, now: PairRows) -> list[str]:
    """The columns of both versions whose values differ."""
    return [
        name
        for name in was.digests
        if name in now.digests and was.digests[name].digest() != now.digests[name].digest()
    ]


@lru_cache(maxsize=2)
def read_reasons(shards: Path) -> dict[str, KnownReject]:
    """The rejects, by item, of the run that contains these shards; none for a copy of the shards.

    Later stages take precedence. Damaged tables are ignored, because they are not part of the
    published dataset.
    """
    by_item: dict[str, KnownReject] = {}
    for stage in _STAGES:
        folder = shards if stage == "shards" else shards.parent / stage
        path = folder / "tables" / "rejected.parquet"
        try:
            rows = pq.read_table(path, columns=["item", "reason", "detail"]).to_pylist()
        except DAMAGE:
            continue
        for row in rows:
            by_item.setdefault(row["item"], KnownReject(stage, row["reason"], row["detail"]))
    return by_item
