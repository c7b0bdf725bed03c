"""MDS shards of a config for MosaicML's streaming, which the extra `mds` installs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.clip.library import import_torchvision
from pipeline.errors import MissingExtraError, PipelineError
from pipeline.tools.export.samples import Sample, samples, splits_of
from spfem_data.reader import Shards
from spfem_data.schema import COLUMNS, Column


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
