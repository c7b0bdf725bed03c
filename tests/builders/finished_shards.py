"""Finished shards to spoil: built once, copied for each test, sealed again where one wants it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spfem_data.schema import COLUMNS

PAIRS = "data/pairs/train-00000-of-00002.parquet"
TAKES = "data/takes/train-00000-of-00001.parquet"
WINDOWS = "data/sequences/train-00000-of-00001.parquet"


def copy(built: Path, folder: Path) -> Path:
    """The published part of built shards, without the build's own bookkeeping."""
    return Path(shutil.copytree(built, folder, ignore=shutil.ignore_patterns("items", "tables")))


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_bytes())


def said(folder: Path) -> str:
    """What verify says of the folder when nothing is wrong, counted from its manifest."""
    content = manifest(folder)
    files = len(content["files"]) + len(content["documents"])
    rows = {config: sum(by.values()) for config, by in content["rows"].items()}
    media = {
        kind: sum(n * sum(c.media == kind for c in COLUMNS[config]) for config, n in rows.items())
        for kind in ("image", "audio")
    }
    return (
        f"{files} files, {sum(rows.values())} rows, {media['image']} images and "
        f"{media['audio']} audio files decoded: ok"
    )


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Write the manifest as `change` leaves it."""
    content = manifest(folder)
    change(content)
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")


def seal(folder: Path) -> None:
    """Bring the manifest in line with the files: what lies in them is all that is wrong then."""

    def change(content: dict[str, Any]) -> None:
        sums: dict[str, dict[str, int]] = {}
        for path, facts in content["files"].items():
            _, config, name = path.split("/")
            split = name.split("-")[0]
            facts |= _facts(folder / path)
            with contextlib.suppress(pa.ArrowException, OSError):  # damage that a test made
                facts["rows"] = pq.read_metadata(folder / path).num_rows
            by_split = sums.setdefault(config, {})
            by_split[split] = by_split.get(split, 0) + facts["rows"]
        for path, facts in content["documents"].items():
            facts |= _facts(folder / path)
        content["rows"] = sums

    change_manifest(folder, change)


def _facts(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def change_rows(folder: Path, path: str, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Write a file anew with its rows as `change` leaves them, and seal."""
    table = pq.read_table(folder / path, partitioning=None)
    rows = table.to_pylist()
    change(rows)
    changed = pa.Table.from_pylist(rows, schema=table.schema)
    pq.write_table(changed, folder / path, row_group_size=5)
    seal(folder)
