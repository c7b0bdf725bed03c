"""The stages' Parquet tables: typed, and written completely or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import TableError
from pipeline.records import Row
from pipeline.runtime.store import atomic_path

SCHEMA_VERSION = 1
_VERSION_KEY = b"spfem_data.schema_version"
AnyRow = TypeVar("AnyRow", bound=Row)


def write_table(path: Path, table: pa.Table, *, plain_columns: Sequence[str] = ()) -> None:
    """Write one table atomically, with the same bytes for the same rows.

    Parameters
    ----------
    plain_columns
        Columns of encoded images: no compression, dictionary or statistics.
    """
    with atomic_path(path) as temporary:
        pq.write_table(
            table.replace_schema_metadata(_metadata(table.schema)),
            temporary,
            **_encoding(table.schema, plain_columns),
        )


def write_batches(
    path: Path,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    plain_columns: Sequence[str] = (),
) -> None:
    """Write a table that may not fit in memory: each batch becomes a row group.

    If `batches` raises an error, no file is left behind.
    """
    schema = schema.with_metadata(_metadata(schema))
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, schema, **_encoding(schema, plain_columns)) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))


def _metadata(schema: pa.Schema) -> dict[bytes, bytes]:
    return {**(schema.metadata or {}), _VERSION_KEY: str(SCHEMA_VERSION).encode()}


def _encoding(schema: pa.Schema, plain_columns: Sequence[str]) -> dict[str, Any]:
    names = schema.names
    return {
        "compression": {n: "none" if n in plain_columns else "zstd" for n in names},
        "use_dictionary": [n for n in names if pa.types.is_string(schema.field(n).type)],
        "write_statistics": [n for n in names if n not in plain_columns],
    }


def write_rows(path: Path, rows: Iterable[Row], kind: type[Row]) -> None:
    """Write records in the given order, with the schema of their kind."""
    table = pa.Table.from_pylist([row.to_row() for row in rows], schema=kind.SCHEMA)
    write_table(path, table)


def read_table(
    path: Path, schema: pa.Schema | None = None, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read a table that this package wrote.

    Raises
    ------
    TableError
        The file is damaged, has another schema version, or lacks a column.
    """
    try:
        table = pq.read_table(path, columns=None if columns is None else list(columns))
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error
    _check_version(path, table.schema)
    if schema is not None and table.schema.remove_metadata() != schema.remove_metadata():
        raise TableError(f"{path}: its columns are not those of this version; rerun its stage")
    return table


def iter_batches(path: Path, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Read a table's columns in batches, so that the images of a long take need little memory.

    Raises
    ------
    TableError
        The file is damaged or has another schema version.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            _check_version(path, file.schema_arrow)
            yield from file.iter_batches(batch_rows, columns=list(columns), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> TableError:
    if path.exists() or "items" not in path.parts:
        return TableError(f"{path}: not a readable table ({error}); remove it and rerun")
    items = Path(*path.parts[: path.parts.index("items") + 1])  # data/<dataset>/<stage>/items
    stage, dataset = items.parts[-2], items.parts[-3] if len(items.parts) > 2 else "<dataset>"
    return TableError(
        f"{path} is missing: DVC does not store items; run: spfem-data {stage} --dataset "
        f"{dataset}, or copy {items} from another machine"
    )


def _check_version(path: Path, schema: pa.Schema) -> None:
    version = (schema.metadata or {}).get(_VERSION_KEY, b"none").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        raise TableError(f"{path}: schema version {version}, this program reads {SCHEMA_VERSION}")


def read_rows(path: Path, kind: type[AnyRow]) -> list[AnyRow]:
    """The records of a table, in the order written.

    Raises
    ------
    TableError
        As `read_table`, or a row is not a valid record.
    """
    table = read_table(path, kind.SCHEMA)
    try:
        return [kind.from_row(row) for row in table.to_pylist()]
    except (ValueError, TypeError) as error:  # flipped bits in text or numbers
        raise TableError(f"{path}: damaged ({error}); remove it and rerun its stage") from error


def sorted_rows(rows: Iterable[dict[str, Any]], kind: type[AnyRow], *by: str) -> list[AnyRow]:
    """Records made of plain rows (of receipts), sorted by the named fields."""
    records = [kind.from_row(row) for row in rows]
    return sorted(records, key=lambda record: tuple(getattr(record, name) or "" for name in by))
