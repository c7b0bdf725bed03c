"""Read single images and audio files from the shards, without their row groups."""

from __future__ import annotations

import mmap
import os
from collections import OrderedDict
from threading import Lock

import pyarrow as pa
import pyarrow.parquet as pq

from spfem_data.errors import TableError
from spfem_data.parquet_pages import NotPlain, Spans, chunk_range, find_values
from spfem_data.reader import Selection, Shards, reading

_CACHED_BYTES = 64 << 20

Key = tuple[int, int, str]
"""File, row group, column."""


class MediaReader:
    """Reads single values of media columns.

    The first access to a row group finds the positions of all its values and keeps them (12 bytes
    per value). Columns that another tool compressed are read as a whole, and the last 64 MB of them
    are cached. Threads may share a reader; processes may not.
    """

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._lock = Lock()
        self._files: dict[int, int] = {}
        self._footers: dict[int, pq.FileMetaData] = {}
        self._spans: dict[Key, Spans | None] = {}
        self._columns: OrderedDict[Key, pa.BinaryArray] = OrderedDict()

    def __del__(self) -> None:
        for handle in self._files.values():
            os.close(handle)

    def read(self, column: str, chosen: Selection) -> list[bytes]:
        """The bytes of `column` in the selected rows, in their order.

        Raises
        ------
        TableError
            If a row has none, or the file is too short.
        """
        rows = zip(chosen.file.tolist(), chosen.group.tolist(), chosen.row.tolist(), strict=True)
        return [self._one((file, group, column), row) for file, group, row in rows]

    def _one(self, key: Key, row: int) -> bytes:
        spans = self._spans_of(key)
        if spans is None:
            value = self._column(key)[row].as_py()
            content = b"" if value is None else bytes(value)
            size = len(content) or -1
        else:
            size = int(spans.sizes[row])
            content = os.pread(self._file(key[0]), max(size, 0), int(spans.offsets[row]))
        if len(content) != size:
            problem = "is empty" if size < 0 else "extends past the end of the file"
            raise TableError(f"{self.name(key, row)} {problem}; fetch or build the file again")
        return content

    def name(self, key: Key, row: int) -> str:
        """The name of a value for an error message."""
        return f"{self._shards.files[key[0]]}: {key[2]} of row {row} in row group {key[1]}"

    def _file(self, number: int) -> int:
        with self._lock:
            if number not in self._files:
                self._files[number] = os.open(self._shards.files[number], os.O_RDONLY)
            return self._files[number]

    def _spans_of(self, key: Key) -> Spans | None:
        """None for a column whose encoding is not plain."""
        if key not in self._spans:
            try:
                self._spans[key] = self._find(key)
            except NotPlain:
                self._spans[key] = None
        return self._spans[key]

    def _find(self, key: Key) -> Spans:
        """Scan the column's pages through a temporary memory mapping."""
        file, group, column = key
        if file not in self._footers:
            with reading(self._shards.files[file]):
                self._footers[file] = pq.read_metadata(self._shards.files[file])
        rows = self._footers[file].row_group(group)
        names = [rows.column(k).path_in_schema for k in range(rows.num_columns)]
        if f"{column}.bytes" not in names:
            raise TableError(f"{self._shards.files[file]} has no media column {column}")
        number = names.index(f"{column}.bytes")
        first, size = chunk_range(rows.column(number))
        if not 0 <= first <= first + size <= os.fstat(self._file(file)).st_size:
            raise NotPlain(f"{column}: bytes {first} to {first + size} are not in the file")
        levels = self._footers[file].schema.column(number).max_definition_level
        begin = first - first % mmap.ALLOCATIONGRANULARITY
        with (
            mmap.mmap(
                self._file(file), first + size - begin, access=mmap.ACCESS_READ, offset=begin
            ) as mapped,
            memoryview(mapped) as everything,
            everything[first - begin :] as pages,
        ):
            return find_values(pages, first, rows.num_rows, levels)

    def _column(self, key: Key) -> pa.BinaryArray:
        with self._lock:
            if key in self._columns:
                self._columns.move_to_end(key)
                return self._columns[key]
        file, group, column = key
        with self._shards.open(file) as opened, reading(self._shards.files[file]):
            table = opened.read_row_group(group, [f"{column}.bytes"], use_threads=False)
            values = table[column].combine_chunks().field("bytes")
        with self._lock:
            self._columns[key] = values
            while len(self._columns) > 1 and self._cached_bytes() > _CACHED_BYTES:
                self._columns.popitem(last=False)
        return values

    def _cached_bytes(self) -> int:
        return sum(values.nbytes for values in self._columns.values())
