"""Write one shard by row group. The same rows give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spfem_data.schema import media_columns

_VALUES_BETWEEN_PAGE_CHECKS = 8
"""With pyarrow's default of 1024, a page of images is a whole row group in the reader's memory."""
_MAX_GROUP_BYTES = 32 << 20  # of images and audio: long takes give smaller groups


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
