"""The bytes of chosen pictures and sounds, each read by itself from its place in the file."""

from __future__ import annotations

import mmap
import os
from collections import OrderedDict
from threading import Lock

import pyarrow as pa
import pyarrow.parquet as pq

from spfem_data.errors import TableError
from spfem_data.parquet_pages import NotPlain, Spans, chunk_range, find_values
from spfem_data.reader import Selection, Shards, whole

_COLUMNS_KEPT_BYTES = 64 << 20

Key = tuple[int, int, str]
"""File, row group, column."""


class Blobs:
    """Reads single values of media columns.

    The places of a row group's values are found when the first of them is wanted: 12 bytes a value
    are kept, the pictures are not. Columns that another writer has compressed are read whole, and
    the last 64 MB of them kept. Threads may share one; each process opens its own files.
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
        """The bytes of `column` in the chosen rows, in their order.

        Raises
        ------
        TableError
            Where a row has none, or the file is shorter than it says.
        """
        rows = zip(chosen.file.tolist(), chosen.group.tolist(), chosen.row.tolist(), strict=True)
        return [self._one((file, group, column), row) for file, group, row in rows]

    def _one(self, key: Key, row: int) -> bytes:
        spans = self._spans_of(key)
        if spans is None:
            value = self._column(key)[row].as_py()
            found = b"" if value is None else bytes(value)
            size = len(found) or -1
        else:
            size = int(spans.sizes[row])
            found = os.pread(self._file(key[0]), max(size, 0), int(spans.offsets[row]))
        if len(found) != size:
            problem = "is empty" if size < 0 else "ends beyond the file"
            raise TableError(f"{self.name(key, row)} {problem}; fetch or build the file again")
        return found

    def name(self, key: Key, row: int) -> str:
        """How to name a value in an error."""
        return f"{self._shards.files[key[0]]}: {key[2]} of row {row} in row group {key[1]}"

    def _file(self, number: int) -> int:
        with self._lock:
            if number not in self._files:
                self._files[number] = os.open(self._shards.files[number], os.O_RDONLY)
            return self._files[number]

    def _spans_of(self, key: Key) -> Spans | None:
        """None for a column that is not plain."""
        if key not in self._spans:
            try:
                self._spans[key] = self._find(key)
            except NotPlain:
                self._spans[key] = None
        return self._spans[key]

    def _find(self, key: Key) -> Spans:
        """Walk the column's pages through a mapping that is let go at once."""
        file, group, column = key
        if file not in self._footers:
            with whole(self._shards.files[file]):
                self._footers[file] = pq.read_metadata(self._shards.files[file])
        rows = self._footers[file].row_group(group)
        names = [rows.column(k).path_in_schema for k in range(rows.num_columns)]
        if f"{column}.bytes" not in names:
            raise TableError(f"{self._shards.files[file]} has no column {column} of files")
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
        with self._shards.open(file) as opened, whole(self._shards.files[file]):
            table = opened.read_row_group(group, [f"{column}.bytes"], use_threads=False)
            values = table[column].combine_chunks().field("bytes")
        with self._lock:
            self._columns[key] = values
            while len(self._columns) > 1 and self._held() > _COLUMNS_KEPT_BYTES:
                self._columns.popitem(last=False)
        return values

    def _held(self) -> int:
        return sum(values.nbytes for values in self._columns.values())
