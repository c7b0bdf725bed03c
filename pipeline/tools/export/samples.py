"""Rows of the shards as samples of other formats: values, and media as files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError, meant
from pipeline.tools.inspect.manifest import read_manifest
from spfem_data.reader import Shards
from spfem_data.schema import COLUMNS, CONFIGS

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
