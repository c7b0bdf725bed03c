"""Whether the images and recordings of a file decode."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
from numpy.typing import NDArray

from pipeline.tools.inspect.manifest import Finding, Listed
from spfem_data.audio import read_audio
from spfem_data.images import image_size
from spfem_data.schema import AUDIO_HZ, COLUMNS

EVERY = 50
"""With a sample, one row in so many is decoded, and the ends of each row group."""


@dataclass
class Decoded:
    """What was decoded of a file: how many, of which sizes, and what did not decode."""

    images: int = 0
    recordings: int = 0
    sizes: set[tuple[int, int]] = field(default_factory=set)
    faults: list[tuple[str, int, str]] = field(default_factory=list)
    """Column, row, what is wrong."""


def check_media(folder: Path, listed: Listed, *, sample: bool, threads: int) -> Decoded:
    """Decode every image and audio of a file, or a sample; memory holds one row group."""
    columns = {c.name: c.media for c in COLUMNS[listed.config] if c.media}
    decoded = Decoded()
    if not columns:
        return decoded
    with pq.ParquetFile(folder / listed.path) as file, ThreadPoolExecutor(threads) as pool:
        first = 0
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            table = file.read_row_group(group, columns=list(columns))
            places = _places(count, sample)
            for name, media in columns.items():
                if media is not None:
                    part = table[name].combine_chunks().take(pa.array(places))
                    _check_column(decoded, name, media, first, places, part, pool)
            first += count
    return decoded


def _places(count: int, sample: bool) -> list[int]:
    if not sample:
        return list(range(count))
    return sorted({*range(0, count, EVERY), count - 1} & set(range(count)))


def _check_column(
    decoded: Decoded,
    name: str,
    media: str,
    first: int,
    places: list[int],
    part: pa.StructArray,
    pool: ThreadPoolExecutor,
) -> None:
    files = (_bytes(value) for value in part.field("bytes"))
    check = _image if media == "image" else _audio
    for place, found in zip(places, pool.map(check, files), strict=True):
        if isinstance(found, str):
            decoded.faults.append((name, first + place, found))
        elif media == "image":
            decoded.images += 1
            decoded.sizes.add(found)
        else:
            decoded.recordings += 1


def _bytes(value: pa.BinaryScalar) -> NDArray[np.uint8] | None:
    buffer = value.as_buffer()
    return None if buffer is None else np.frombuffer(buffer, np.uint8)


def _image(content: NDArray[np.uint8] | None) -> tuple[int, int] | str:
    """Height and width, or what is wrong."""
    if content is None:
        return "null"
    try:
        size = image_size(content)
        simplejpeg.decode_jpeg(content)
    except ValueError as error:
        return str(error)
    return size


def _audio(content: NDArray[np.uint8] | None) -> tuple[int, int] | str:
    """Samples and rate, or what is wrong."""
    if content is None:
        return "null"
    data = content.tobytes()
    if data[:4] != b"fLaC" or len(data) < 42:
        return "no FLAC"
    head = int.from_bytes(data[18:26], "big")
    rate, channels, samples = head >> 44, ((head >> 41) & 7) + 1, head & ((1 << 36) - 1)
    if rate != AUDIO_HZ or channels != 1 or not samples:
        return f"{samples} samples of {channels} channels at {rate} Hz, expected mono at {AUDIO_HZ}"
    try:
        decoded, rate = read_audio(data)
    except ValueError as error:
        return str(error)
    if len(decoded) != samples:
        return f"{len(decoded)} samples decode, its head says {samples}"
    return samples, rate


def faults(listed: Listed, decoded: Decoded) -> Iterator[Finding]:
    """The findings of one file, one a column."""
    for name in sorted({column for column, _, _ in decoded.faults}):
        of_column = [(row, what) for column, row, what in decoded.faults if column == name]
        row, what = of_column[0]
        said = f"{len(of_column)} of column {name} do not decode; the first in row {row}: {what}"
        yield Finding("media", listed.path, said)


def size_faults(config: str, sizes: set[tuple[int, int]]) -> Iterator[Finding]:
    """The images of a config must be of one size, or batches cannot be stacked."""
    if len(sizes) > 1:
        shown = ", ".join(f"{width} x {height}" for height, width in sorted(sizes)[:5])
        yield Finding("media", config, f"images of {len(sizes)} sizes: {shown}")
