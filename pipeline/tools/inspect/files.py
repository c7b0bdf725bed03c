"""Compare the files of a dataset with its manifest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.digests import sha256_of
from pipeline.tools.inspect.manifest import (
    ADVICE,
    DAMAGE,
    NAME,
    Finding,
    Listed,
    Manifest,
    is_pointer,
)
from spfem_data.schema import SCHEMA_VERSION, VERSION_KEY, schema

_UNPUBLISHED = {"items", "tables", ".git", ".cache", ".gitattributes", ".gitignore"}
"""Files of the build and of hubs that are not part of the published dataset."""
_SYSTEM_NAMES = {".DS_Store", "Thumbs.db", "desktop.ini"}
_SYSTEM_PREFIXES = (".nfs", "._", "~$")
"""Files that operating systems and network file systems leave in a folder."""


def check_file(folder: Path, listed: Listed) -> list[Finding]:
    """Compare size and SHA-256 of a file with the manifest."""
    check, what = "files", ""
    path = folder / listed.path
    try:
        if not path.is_file():  # also a folder, a pipe or a device
            what = "is not a file" if os.path.lexists(path) else "is missing"
        elif (n_bytes := path.stat().st_size) != listed.bytes:
            sizes = f"{n_bytes} bytes, the manifest says {listed.bytes}"
            what = ADVICE if is_pointer(path) else f"{sizes}: truncated or replaced"
        elif sha256_of(path) != listed.sha256:
            check, what = "checksum", "its SHA-256 differs from the manifest: damaged"
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
    return [Finding(check, listed.path, what)] if what else []


def unlisted(folder: Path, manifest: Manifest) -> list[Finding]:
    """The files in the folder that the manifest does not list, without those of the system."""
    return [
        Finding("files", path, "is not listed in the manifest")
        for path in _others(folder, manifest)
        if not _is_of_system(path)
    ]


def system_files(folder: Path, manifest: Manifest) -> list[str]:
    """Unlisted files that an operating system or a network file system left in the folder."""
    return [path for path in _others(folder, manifest) if _is_of_system(path)]


def _others(folder: Path, manifest: Manifest) -> Iterator[str]:
    listed = {NAME, *(one.path for one in (*manifest.files, *manifest.documents))}
    return (path for path in _walk(folder) if path not in listed)


def _is_of_system(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name in _SYSTEM_NAMES or name.startswith(_SYSTEM_PREFIXES)


def _walk(folder: Path) -> Iterator[str]:
    """All files of a folder except unpublished ones; links are not followed."""
    for where, folders, files in os.walk(folder):
        at_top = Path(where) == folder
        folders[:] = sorted(name for name in folders if not (at_top and name in _UNPUBLISHED))
        for name in sorted(files):
            if not (at_top and name in _UNPUBLISHED):
                yield (Path(where) / name).relative_to(folder).as_posix()


def check_footer(folder: Path, listed: Listed) -> list[Finding]:
    """Check that a file opens and has the expected columns, version and number of rows."""
    try:
        with pq.ParquetFile(folder / listed.path) as file:
            found, rows = file.schema_arrow, file.metadata.num_rows
    except DAMAGE as error:
        return [Finding("schema", listed.path, f"is not a readable Parquet file: {error}")]
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
