"""Write one shard: the worker of the stage `shards`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.params import Shards
from pipeline.runtime.store import ItemStore, atomic_path
from pipeline.runtime.units import UnitResult
from pipeline.stages.shards.rows import ROWS
from pipeline.stages.shards.shard_plan import ClearTake, Item, Shard
from pipeline.stages.shards.sources import Sources
from spfem_data.schema import media_columns
from spfem_data.schema import schema as schema_of

SUFFIX = ".parquet"
_VALUES_BETWEEN_PAGE_CHECKS = 8
"""With pyarrow's default of 1024, a page of images is a whole row group in the reader's memory."""
_MAX_GROUP_BYTES = 32 << 20  # of images and audio: long takes give smaller groups


@dataclass(frozen=True)
class Payload:
    """The worker's input: the items of one file and the item folder of each stage."""

    shard: Shard
    items: tuple[Item, ...]
    stores: Mapping[str, Path]
    section: Shards


def one_thread() -> None:
    """Warp with one thread per process, because there is one process per worker."""
    cv2.setNumThreads(1)


def write_unit(state: None, store: ItemStore, unit: str, payload: Payload) -> UnitResult:
    """Write one file, row group by row group."""
    config, sources = payload.shard.config, Sources(payload.stores, payload.section)
    rows = (row for item in payload.items for row in ROWS[config](item, sources))
    schema = schema_of(config, _metadata(payload))
    with atomic_path(store.path(unit, SUFFIX)) as temporary:
        n = write_shard(temporary, schema, config, rows, payload.section.rows_per_group)
    return UnitResult([SUFFIX], {"files": [{"unit": unit, "rows": n}]})


def _metadata(payload: Payload) -> dict[str, str]:
    """The metadata of the file's schema."""
    section, config = payload.section, payload.shard.config
    framings = {
        "pairs": section.framing, "emotions": section.framing, "frames": section.frames.framing,
    }  # fmt: skip
    weights = sorted({x.weights_sha256 for x in payload.items if isinstance(x, ClearTake)})
    metadata = {"framing": f"{framings[config]} {section.size_px}"} if config in framings else {}
    return metadata | ({"clip_weights_sha256": ",".join(weights)} if weights else {})


def write_shard(
    path: Path,
    schema: pa.Schema,
    config: str,
    rows: Iterable[Mapping[str, Any]],
    rows_per_group: int,
) -> int:
    """Write rows to a Parquet file and return their number. At most one row group is in memory.

    Images and audio have no compression, dictionary or statistics: JPEG and FLAC do not shrink, and
    a dictionary halves the reading rate.
    """
    media = media_columns(config)
    leaves = list(_leaves(schema))
    plain = [leaf for leaf in leaves if leaf.split(".")[0] in media]
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    writer = pq.ParquetWriter(
        path,
        schema,
        compression={leaf: "none" if leaf in plain else "zstd" for leaf in leaves},
        use_dictionary=texts,
        write_statistics=[leaf for leaf in leaves if leaf not in plain],
        write_page_index=True,
        write_batch_size=_VALUES_BETWEEN_PAGE_CHECKS if media else None,
    )
    count = 0
    with writer:
        for group in _groups(rows, rows_per_group, media):
            writer.write_table(
                pa.Table.from_pylist(group, schema=schema), row_group_size=len(group)
            )
            count += len(group)
    return count


def _groups(
    rows: Iterable[Mapping[str, Any]], size: int, media: Sequence[str]
) -> Iterator[list[Mapping[str, Any]]]:
    group: list[Mapping[str, Any]] = []
    held = 0
    for row in rows:
        group.append(row)
        held += sum(len(row[name]["bytes"]) for name in media)
        if len(group) == size or held >= _MAX_GROUP_BYTES:
            yield group
            group, held = [], 0
    if group:
        yield group


def _leaves(schema: pa.Schema) -> Iterator[str]:
    """The Parquet column names: `source.bytes`, `affine.list.element`."""
    for field in schema:
        if pa.types.is_struct(field.type):
            yield from (f"{field.name}.{child.name}" for child in field.type)
        elif pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type):
            yield f"{field.name}.list.element"
        else:
            yield field.name
