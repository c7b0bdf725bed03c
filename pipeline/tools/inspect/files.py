"""The files of a dataset against its manifest: there, whole, and no other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.digests import sha256_of
from pipeline.tools.inspect.findings import DAMAGE, Finding
from pipeline.tools.inspect.manifest import NAME, Listed, Manifest
from spfem_data.schema import SCHEMA_VERSION, VERSION_KEY, schema

_BESIDE = {"items", "tables", ".git", ".cache", ".gitattributes", ".gitignore"}
"""The build's own bookkeeping and what hubs keep beside a dataset: no part of what is published."""


def check_file(folder: Path, listed: Listed) -> Finding | None:
    """Whether a file is there, as long as it was and with the bytes that it had."""
    path = folder / listed.path
    try:
        if not path.is_file():  # also what is a folder, a pipe or a device
            there = os.path.lexists(path)
            return Finding("files", listed.path, "is no file" if there else "is missing")
        found = path.stat().st_size
        if found != listed.bytes:
            what = f"{found} bytes, the manifest says {listed.bytes}"
            return Finding("files", listed.path, f"{what}: cut short or replaced")
        if sha256_of(path) != listed.sha256:
            return Finding("checksum", listed.path, "its sha256 is not the manifest's: damaged")
    except OSError as error:
        return Finding("files", listed.path, f"cannot be read: {error.strerror}")
    return None


def unlisted(folder: Path, manifest: Manifest) -> list[Finding]:
    """What lies in the folder and is named nowhere."""
    named = {NAME, *(one.path for one in (*manifest.files, *manifest.documents))}
    return [
        Finding("files", path, "is in no list of the manifest")
        for path in _walk(folder)
        if path not in named
    ]


def _walk(folder: Path) -> Iterator[str]:
    """All files below a folder but those of its bookkeeping, links not followed."""
    for where, folders, files in os.walk(folder):
        at_top = Path(where) == folder
        folders[:] = sorted(name for name in folders if not (at_top and name in _BESIDE))
        for name in sorted(files):
            if not (at_top and name in _BESIDE):
                yield (Path(where) / name).relative_to(folder).as_posix()


def check_footer(folder: Path, listed: Listed) -> list[Finding]:
    """Whether a file opens, and has the columns, the version and the rows that it should."""
    try:
        with pq.ParquetFile(folder / listed.path) as file:
            found, rows = file.schema_arrow, file.metadata.num_rows
    except DAMAGE as error:
        return [Finding("schema", listed.path, f"is no Parquet file that opens: {error}")]
    wrong = list(_schema_faults(listed, found))
    if rows != listed.rows:
        wrong.append(Finding("rows", listed.path, f"{rows} rows, the manifest says {listed.rows}"))
    return wrong


def _schema_faults(listed: Listed, found: pa.Schema) -> Iterator[Finding]:
    version = (found.metadata or {}).get(VERSION_KEY, b"none").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        said = f"schema version {version}; this package reads {SCHEMA_VERSION}"
        yield Finding("schema", listed.path, said)
        return
    wanted = schema(listed.config)
    lacks = [name for name in wanted.names if name not in found.names]
    extra = [name for name in found.names if name not in wanted.names]
    other = [
        f"{name} is {found.field(name).type} and not {wanted.field(name).type}"
        for name in wanted.names
        if found.names.count(name) == 1 and found.field(name).type != wanted.field(name).type
    ]
    for what, names in (("lacks", lacks), ("has beyond its schema", extra), ("types:", other)):
        if names:
            yield Finding("schema", listed.path, f"{what} {', '.join(names)}")
