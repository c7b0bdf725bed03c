"""Where each value of an uncompressed Parquet column lies in its file.

Arrow reads a column of a row group as a whole: 100 pictures for the one that is wanted. The pages
of a plain, uncompressed column hold the very bytes, each behind its length, so after one walk over
a page's lengths a picture is one read of its own size. Format: parquet.thrift (PageHeader) and
Encodings.md of apache/parquet-format.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from struct import error as Short
from struct import unpack_from
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from spfem_data.rng import I64

Buffer = bytes | memoryview

Fields = dict[int, Any]
"""A struct of Thrift: its values by field number."""

_PLAIN = 0
_SIZE_STATISTICS = 16
_HISTOGRAMS = (2, 3)
"""Fields of a column's size statistics: of repetition levels, of definition levels."""
_OPTIONAL, _REPEATED = 1, 2
_DATA_PAGE, _DATA_PAGE_V2 = 0, 3
_BOOLEANS, _WHOLE, _DOUBLE, _BINARY, _LIST, _STRUCT = (1, 2), (3, 4, 5, 6), 7, 8, (9, 10), 12


class NotPlain(Exception):
    """The column is stored in a way that only a full reader understands."""


@dataclass(frozen=True, eq=False)
class Spans:
    """Where the values of a column of one row group lie: (n,) offsets in the file and sizes.

    A null has the size -1.
    """

    offsets: I64
    sizes: NDArray[np.int32]


def chunk_range(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    """First byte and size of a column's pages in the file.

    Raises
    ------
    NotPlain
        Where the column is compressed or has a dictionary.
    """
    if chunk.compression != "UNCOMPRESSED" or chunk.has_dictionary_page:
        raise NotPlain(f"{chunk.path_in_schema} is {chunk.compression}")
    return chunk.data_page_offset, chunk.total_compressed_size


def check_histograms(path: Path) -> None:
    """Refuse a footer whose histograms of levels do not fit its columns.

    Arrow checks them as well, where an exception ends the process. A footer that cannot be walked
    at all is left to it.

    Raises
    ------
    NotPlain
        Where one does not fit.
    """
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 8, 0))
        size = int.from_bytes(file.read(4), "little")
        file.seek(max(end - 8 - size, 0))
        footer = file.read(size)
    try:
        fields = _struct(footer, 0)[0]
        levels = _levels_of_leaves(fields[2])
        chunks = [chunk for group in fields[4] for chunk in enumerate(group[1])]
        told = [(levels[k], chunk[3].get(_SIZE_STATISTICS)) for k, chunk in chunks if 3 in chunk]
    except (AttributeError, LookupError, TypeError, RecursionError, NotPlain):
        return
    for most, statistics in told:
        for number, level in zip(_HISTOGRAMS, most, strict=True):
            found = statistics.get(number) if isinstance(statistics, dict) else None
            if isinstance(found, list) and len(found) not in (0, level + 1):
                raise NotPlain(f"a histogram of {len(found)} levels, there are {level + 1}")


def _levels_of_leaves(schema: list[Fields]) -> list[tuple[int, int]]:
    """Largest repetition and definition level of each column, in the order of the file."""
    found: list[tuple[int, int]] = []

    def walk(at: int, repeated: int, defined: int) -> int:
        kind = schema[at].get(3) if at else None
        repeated += kind == _REPEATED
        defined += kind in (_OPTIONAL, _REPEATED)
        children = schema[at].get(5) or 0
        if not children:
            found.append((repeated, defined))
        at += 1
        for _ in range(children):
            at = walk(at, repeated, defined)
        return at

    walk(0, 0, 0)
    return found


def find_values(pages: Buffer, first_byte: int, n: int, levels: int) -> Spans:
    """Walk the pages of a column of byte arrays.

    Parameters
    ----------
    pages
        All pages of the column in one row group.
    first_byte
        Where they begin in the file.
    n
        Values to be found, nulls among them.
    levels
        The column's largest definition level, that of a value which is there.

    Raises
    ------
    NotPlain
        Where a page is of another kind or encoding, or damaged: the full reader will say so.
    """
    try:
        return _find_values(pages, first_byte, n, levels)
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError, Short) as fault:
        raise NotPlain(f"damaged pages: {fault}") from fault


def _find_values(pages: Buffer, first_byte: int, n: int, levels: int) -> Spans:
    offsets, sizes = np.zeros(n, np.int64), np.full(n, -1, np.int32)
    at = found = 0
    while found < n:
        header, start = _struct(pages, at)
        at = start + int(header[3])
        if not start <= at <= len(pages):
            raise NotPlain(f"a page of {header[3]} bytes")
        present, values = _levels(pages[:at], start, header, levels, n - found)
        for k in found + np.flatnonzero(present):
            (size,) = unpack_from("<I", pages, values)
            offsets[k] = first_byte + values + 4
            values += 4 + size
            if values > at:
                raise NotPlain(f"a value of {size} bytes")
            sizes[k] = size
        found += len(present)
    return Spans(offsets, sizes)


def _levels(
    pages: Buffer, start: int, header: Fields, levels: int, most: int
) -> tuple[NDArray[np.bool_], int]:
    """Which of a page's values are there, and where the first of them begins."""
    facts = header.get(5) if header[1] == _DATA_PAGE else header.get(8)
    if not isinstance(facts, dict) or facts[2 if header[1] == _DATA_PAGE else 4] != _PLAIN:
        raise NotPlain(f"page of type {header[1]}")
    n = int(facts[1])
    if not 0 <= n <= most:
        raise NotPlain(f"a page of {n} values")
    if levels == 0:
        return np.ones(n, np.bool_), start
    if header[1] == _DATA_PAGE_V2:
        size = facts[5]
        begin = start + facts[6]
    else:
        (size,) = unpack_from("<I", pages, start)
        begin = start + 4
    found = _runs(pages[begin : begin + size], n, levels.bit_length())
    return found == levels, begin + size


def _runs(packed: Buffer, n: int, width: int) -> NDArray[np.uint8]:
    """Parquet's hybrid of run lengths and bit packing: n numbers of `width` bits, at most 8."""
    parts: list[NDArray[np.uint8]] = []
    at = total = 0
    while total < n:
        head, at = _varint(packed, at)
        if head & 1:
            size = (head >> 1) * width
            bits = np.unpackbits(np.frombuffer(packed[at : at + size], np.uint8), bitorder="little")
            values = bits.reshape(-1, width) @ (1 << np.arange(width))
        else:
            size = 1
            values = np.full(min(head >> 1, n - total), packed[at])
        parts.append(values.astype(np.uint8))
        at += size
        total += len(values)
    return np.concatenate(parts)[:n] if parts else np.zeros(0, np.uint8)


def _struct(data: Buffer, at: int) -> tuple[Fields, int]:
    """A struct of Thrift's compact protocol: its fields by number, and where it ends."""
    fields: Fields = {}
    number = 0
    while (head := data[at]) != 0:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _zigzag(data, at)
        fields[number], at = _value(data, at, head & 15)
    return fields, at + 1


def _value(data: Buffer, at: int, kind: int) -> tuple[Any, int]:
    if kind in _BOOLEANS:
        return kind == 1, at
    if kind in _WHOLE:
        return _zigzag(data, at)
    if kind == _DOUBLE:
        return None, at + 8
    if kind == _BINARY:
        size, at = _varint(data, at)
        return None, at + size
    if kind == _STRUCT:
        return _struct(data, at)
    if kind in _LIST:
        return _list(data, at)
    raise NotPlain(f"Thrift type {kind}")


def _list(data: Buffer, at: int) -> tuple[Any, int]:
    head = data[at]
    size, at = head >> 4, at + 1
    if size == 15:
        size, at = _varint(data, at)
    if size > len(data) - at:
        raise NotPlain(f"a list of {size} values")
    values: list[Any] = []
    for _ in range(size):
        if head & 15 in _BOOLEANS:  # in a list a boolean has a byte of its own
            value, at = data[at] == 1, at + 1
        else:
            value, at = _value(data, at, head & 15)
        values.append(value)
    return values, at


def _varint(data: Buffer, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise NotPlain("a number of more than 64 bits")


def _zigzag(data: Buffer, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at
