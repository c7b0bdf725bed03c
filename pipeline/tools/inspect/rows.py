"""The rows of `pairs` by clip pair with a digest of each column, for comparing versions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.tools.inspect.manifest import Manifest
from spfem_data.schema import COLUMNS


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
            digest = self.digests.setdefault(name, hashlib.blake2b(digest_size=16))
            digest.update(value if isinstance(value, bytes) else repr(value).encode())


def read_pairs(folder: Path, manifest: Manifest, *, with_images: bool) -> dict[str, PairRows]:
    """The clip pairs of a version; one row group is in memory at a time."""
    pairs: dict[str, PairRows] = {}
    for row in _rows(folder, manifest, "pairs", with_images):
        pair_id = row["pair_id"]
        if pair_id not in pairs:
            pairs[pair_id] = PairRows((row["take_a"], row["take_b"]), row["split"])
        pairs[pair_id].add(row)
    return pairs


def changed_columns(was: PairRows, now: PairRows) -> list[str]:
    """The columns of both versions whose values differ."""
    return [
        name
        for name in was.digests
        if name in now.digests and was.digests[name].digest() != now.digests[name].digest()
    ]


def read_takes(folder: Path, manifest: Manifest) -> dict[str, str]:
    """The split of each take of a version."""
    files = [one for one in manifest.files if one.config == "takes"]
    splits: dict[str, str] = {}
    for one in files:
        table = pq.read_table(folder / one.path, columns=["take_id", "split"], partitioning=None)
        splits |= dict(
            zip(*(table[name].to_pylist() for name in ("take_id", "split")), strict=True)
        )
    return splits


def _rows(
    folder: Path, manifest: Manifest, config: str, with_media: bool
) -> Iterator[dict[str, Any]]:
    media = [c.name for c in COLUMNS[config] if c.media]
    for one in manifest.files:
        if one.config != config:
            continue
        with pq.ParquetFile(folder / one.path) as file:
            names = [n for n in file.schema_arrow.names if with_media or n not in media]
            for group in range(file.num_row_groups):
                yield from _plain(file.read_row_group(group, columns=names), media)


def _plain(table: pa.Table, media: list[str]) -> Iterator[dict[str, Any]]:
    for row in table.to_pylist():
        for name in media:
            if name in row:
                row[name] = row[name]["bytes"]
        yield row
