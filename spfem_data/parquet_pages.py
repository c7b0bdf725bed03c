"""The position of each value of an uncompressed Parquet column in its file.

Arrow reads a column of a row group as a whole: 100 images to get one. The pages of a plain,
uncompressed column hold each value after its length, so one scan of the lengths finds all values,
and loading an image is one read of its own bytes. Format: parquet.thrift (PageHeader) and
Encodings.md of apache/parquet-format.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from spfem_data.rng import I64

Buffer = bytes | memoryview

Fields = dict[int, Any]
"""A Thrift struct: values by field number."""

_PLAIN = 0
_SIZE_STATISTICS = 16
_HISTOGRAMS = (2, 3)
"""Fields of a column's size statistics: histograms of repetition and of definition levels."""
_OPTIONAL, _REPEATED = 1, 2
_DATA_PAGE, _DATA_PAGE_V2 = 0, 3
_BOOLEANS, _INTEGERS, _DOUBLE, _BINARY, _LIST, _STRUCT = (1, 2), (3, 4, 5, 6), 7, 8, (9, 10), 12


class NotPlain(Exception):
    """The column is stored in a way that needs a full Parquet reader."""


@dataclass(frozen=True, eq=False)
class Spans:
    """The values of a column in one row group: (n,) file offsets and sizes in bytes.

    The size of a null is -1.
    """

    offsets: I64
    sizes: NDArray[np.int32]


def chunk_range(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    """Offset and size in bytes of a column's pages in the file.

    Raises
    ------
    NotPlain
        If the column is compressed or has a dictionary.
    """
    if chunk.compression != "UNCOMPRESSED" or chunk.has_dictionary_page:
        raise NotPlain(f"{chunk.path_in_schema} is {chunk.compression}")
    return chunk.data_page_offset, chunk.total_compressed_size


def read_footer(path: Path) -> bytes:
    """The footer of a Parquet file, or what is left of it in a damaged file."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 8, 0))
        size = int.from_bytes(file.read(4), "little")
        file.seek(max(end - 8 - size, 0))
        return file.read(size)


def check_histograms(path: Path) -> None:
    """Check that the footer's histograms of levels match its columns.

    Arrow checks them too, but its exception ends the process. A footer that cannot be parsed is
    left to Arrow.

    Raises
    ------
    NotPlain
        If a histogram has the wrong length.
    """
    try:
        fields = _struct(read_footer(path), 0)[0]
        levels = _levels_of_leaves(fields[2])
        chunks = [chunk for group in fields[4] for chunk in enumerate(group[1])]
        sizes = [(levels[k], chunk[3].get(_SIZE_STATISTICS)) for k, chunk in chunks if 3 in chunk]
    except (AttributeError, LookupError, TypeError, RecursionError, NotPlain):
        return
    for max_levels, statistics in sizes:
        for number, level in zip(_HISTOGRAMS, max_levels, strict=True):
            histogram = statistics.get(number) if isinstance(statistics, dict) else None
            if isinstance(histogram, list) and len(histogram) not in (0, level + 1):
                raise NotPlain(f"a histogram of {len(histogram)} levels, expected {level + 1}")


def _levels_of_leaves(schema: list[Fields]) -> list[tuple[int, int]]:
    """Largest repetition and definition level of each column, in file order."""
    levels: list[tuple[int, int]] = []

    def walk(at: int, repeated: int, defined: int) -> int:
        kind = schema[at].get(3) if at else None
        repeated += kind == _REPEATED
        defined += kind in (_OPTIONAL, _REPEATED)
        children = schema[at].get(5) or 0
        if not children:
            levels.append((repeated, defined))
        at += 1
        for _ in range(children):
            at = walk(at, repeated, defined)
        return at

    walk(0, 0, 0)
    return levels


def find_values(pages: Buffer, first_byte: int, n: int, levels: int) -> Spans:
    """Find the values in the pages of a column of byte arrays.

    Parameters
    ----------
    pages
        All pages of the column in one row group.
    first_byte
        Their offset in the file.
    n
        Number of values, including nulls.
    levels
        The column's largest definition level, which is that of a value that is not null.

    Raises
    ------
    NotPlain
        If a page has another type or encoding, or is damaged.
    """
    try:
        return _find_values(pages, first_byte, n, levels)
    except (
        LookupError,
        TypeError,
        ValueError,
        ArithmeticError,
        RecursionError,
        struct.error,
    ) as error:
        raise NotPlain(f"damaged pages: {error}") from error


def _find_values(pages: Buffer, first_byte: int, n: int, levels: int) -> Spans:
    offsets, sizes = np.zeros(n, np.int64), np.full(n, -1, np.int32)
    at = done = 0
    while done < n:
        header, start = _struct(pages, at)
        at = start + int(header[3])
        if not start <= at <= len(pages):
            raise NotPlain(f"a page of {header[3]} bytes")
        present, values = _levels(pages[:at], start, header, levels, n - done)
        for k in done + np.flatnonzero(present):
            (size,) = struct.unpack_from("<I", pages, values)
            offsets[k] = first_byte + values + 4
            values += 4 + size
            if values > at:
                raise NotPlain(f"a value of {size} bytes")
            sizes[k] = size
        done += len(present)
    return Spans(offsets, sizes)


def _levels(
    pages: Buffer, start: int, header: Fields, levels: int, limit: int
) -> tuple[NDArray[np.bool_], int]:
    """Which of a page's values are not null, and the offset of the first one."""
    facts = header.get(5) if header[1] == _DATA_PAGE else header.get(8)
    if not isinstance(facts, dict) or facts[2 if header[1] == _DATA_PAGE else 4] != _PLAIN:
        raise NotPlain(f"page of type {header[1]}")
    n = int(facts[1])
    if not 0 <= n <= limit:
        raise NotPlain(f"a page of {n} values")
    if levels == 0:
        return np.ones(n, np.bool_), start
    if header[1] == _DATA_PAGE_V2:
        size = facts[5]
        begin = start + facts[6]
    else:
        (size,) = struct.unpack_from("<I", pages, start)
        begin = start + 4
    definition = _decode_runs(pages[begin : begin + size], n, levels.bit_length())
    return definition == levels, begin + size


def _decode_runs(packed: Buffer, n: int, width: int) -> NDArray[np.uint8]:
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
    """A struct of Thrift's compact protocol: its fields by number, and the offset of its end."""
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
    if kind in _INTEGERS:
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
        if head & 15 in _BOOLEANS:  # in a list, each boolean takes one byte
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
