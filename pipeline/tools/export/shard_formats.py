"""Rows of the shards as samples of other formats: WebDataset tars, and MDS shards.

A sample of a tar is `<key>.<column>.jpg` (or .flac) and `<key>.json` with all other columns. The
key consists of the split and the numbers of file and row, because ids contain characters at which
WebDataset splits names. The same rows give the same bytes. The extra `mds` installs what writes MDS
shards, for MosaicML's streaming.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.clip.library import import_torchvision
from pipeline.errors import MissingExtraError, PipelineError, meant
from pipeline.runtime.store import atomic_path
from pipeline.tools.inspect.manifest import read_manifest
from spfem_data.reader import Shards
from spfem_data.schema import COLUMNS, CONFIGS, Column

_SUFFIX = {"image": "jpg", "audio": "flac"}


@dataclass(frozen=True)
class Sample:
    """One row: its plain values, and its media by `<column>.<suffix>`."""

    values: dict[str, Any]
    media: dict[str, bytes]


def splits_of(folder: Path, config: str) -> list[str]:
    """The splits that a dataset has of a config.

    Raises
    ------
    PipelineError
        Where the config is unknown or the folder has none of it.
    """
    if config not in CONFIGS:
        raise PipelineError(
            f"no config {config!r}; there are: {', '.join(CONFIGS)}" + meant(config, CONFIGS)
        )
    manifest = read_manifest(folder)
    found = {one.split for one in manifest.files if one.config == config}
    if not found:
        first = manifest.findings[0].what if manifest.findings else "the manifest lists no file"
        raise PipelineError(f"{folder} has no config {config!r}: {first}")
    return sorted(found)


def samples(shards: Shards, file: int) -> Iterator[Sample]:
    """The rows of one file, in order; memory holds one row group."""
    media = {c.name: c.media for c in COLUMNS[shards.config] if c.media}
    with shards.open(file) as opened:
        for group in range(opened.num_row_groups):
            for row in opened.read_row_group(group, use_threads=False).to_pylist():
                files = {
                    f"{name}.{_SUFFIX[kind]}": row[name]["bytes"]
                    for name, kind in media.items()
                    if row[name] is not None
                }
                yield Sample({k: v for k, v in row.items() if k not in media}, files)


def write_tars(
    folder: Path, config: str, out: Path, step: Callable[[], None] = lambda: None
) -> int:
    """Write `<out>/<config>-<split>-00000.tar`, ... and return the number of samples."""
    count = 0
    for split in splits_of(folder, config):
        shards = Shards(folder, config, split)
        for number in range(len(shards.files)):
            with atomic_path(out / f"{config}-{split}-{number:05d}.tar") as temporary:
                count += _write_tar(temporary, shards, number)
            step()
    return count


def _write_tar(path: Path, shards: Shards, number: int) -> int:
    count = 0
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples(shards, number):
            _add(tar, f"{shards.split}-{number:05d}-{count:07d}", sample)
            count += 1
    return count


def _add(tar: tarfile.TarFile, key: str, sample: Sample) -> None:
    text = json.dumps(sample.values, sort_keys=True, ensure_ascii=False, allow_nan=True)
    for name, content in (*sample.media.items(), ("json", text.encode())):
        member = tarfile.TarInfo(f"{key}.{name}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


def write_mds(folder: Path, config: str, out: Path, step: Callable[[], None] = lambda: None) -> int:
    """Write `<out>/<split>/` for each split and return the number of samples.

    `step` is called after each file read. MDS has no null: unknown numbers are NaN, unknown texts
    empty, unknown lists null in JSON.

    Raises
    ------
    MissingExtraError
        When the library is not installed.
    PipelineError
        When an output folder exists already.
    """
    try:
        import_torchvision()  # streaming imports it for classes that are not used here
        from streaming import MDSWriter
    except ModuleNotFoundError as error:
        name = "mosaicml-streaming" if error.name == "streaming" else str(error.name)
        raise MissingExtraError(name, "mds") from error
    columns = {c.name: encoding(c) for c in COLUMNS[config]} if config in COLUMNS else {}
    count = 0
    for split in splits_of(folder, config):
        shards, target = Shards(folder, config, split), out / split
        if target.exists():
            raise PipelineError(f"{target} exists already; remove it or choose another --out")
        with MDSWriter(out=str(target), columns=columns, hashes=["sha256"]) as writer:
            for number in range(len(shards.files)):
                for sample in samples(shards, number):
                    writer.write(_values(sample, config))
                    count += 1
                step()
    return count


def encoding(column: Column) -> str:
    """The MDS encoding of a column."""
    kind = column.type
    if column.media:
        return "bytes"
    if pa.types.is_string(kind):
        return "str"
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_boolean(kind):
        return "json"
    return {"float": "float32", "double": "float64"}.get(str(kind), str(kind))


def _values(sample: Sample, config: str) -> dict[str, Any]:
    media = {name.split(".")[0]: content for name, content in sample.media.items()}
    return {
        c.name: media.get(c.name, b"") if c.media else _value(c, sample) for c in COLUMNS[config]
    }


def _value(column: Column, sample: Sample) -> Any:
    value = sample.values[column.name]
    if value is not None:
        return value
    return {"str": "", "float32": float("nan"), "float64": float("nan"), "json": None}.get(
        encoding(column), -1
    )
