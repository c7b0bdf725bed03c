"""Tensors in a file: position, validation, and reading."""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch

from pipeline.models.pickle_scan import UnsafeFileError

DTYPES = {
    "Float": torch.float32, "Double": torch.float64, "Half": torch.float16,
    "BFloat16": torch.bfloat16, "Long": torch.int64, "Int": torch.int32, "Short": torch.int16,
    "Char": torch.int8, "Byte": torch.uint8, "Bool": torch.bool,
}  # fmt: skip
"""Storage classes of torch by the first part of their name."""
_MOST_DIMENSIONS = 8
_BEYOND = 1 << 48
_DIRECTORY_BYTES = 32 << 20


def sensible(numbers: object) -> bool:
    """Whether these are few, non-negative and plausible counts."""
    return (
        isinstance(numbers, tuple)
        and len(numbers) <= _MOST_DIMENSIONS + 2
        and all(type(v) is int and 0 <= v < _BEYOND for v in numbers)
    )


class StorageType(NamedTuple):
    """A storage class of torch: its dtype."""

    dtype: torch.dtype


class Storage(NamedTuple):
    """A flat run of numbers in a file."""

    keeper: Ranges
    key: str
    dtype: torch.dtype
    n: int


class StoredTensor(NamedTuple):
    """A tensor in a file; `read` checks and loads it."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        """Bytes in memory."""
        return math.prod(self.shape) * self.storage.dtype.itemsize

    def check(self, name: str) -> None:
        """Refuse a tensor that claims more than its storage holds."""
        numbers = (self.offset, self.storage.n, *self.stride)
        if not (sensible(self.shape) and sensible(numbers)) or len(self.shape) != len(self.stride):
            raise UnsafeFileError(f"the tensor {name} has no sensible shape: refused")
        count = math.prod(self.shape)
        held = self.storage.keeper.length(self.storage.key) // self.storage.dtype.itemsize
        if count and (count > held or self._last() >= held or self.storage.n > held):
            raise UnsafeFileError(
                f"the tensor {name} claims {count} numbers where its file has {held}: refused"
            )

    def _last(self) -> int:
        steps = zip(self.shape, self.stride, strict=True)
        return self.offset + sum((n - 1) * step for n, step in steps)

    def read(self, name: str) -> torch.Tensor:
        """The tensor itself, contiguous and finite.

        Raises
        ------
        UnsafeFileError
            It claims more than its storage holds, or has NaN or infinite numbers.
        """
        self.check(name)
        dtype = self.storage.dtype
        if 0 in self.shape:
            return torch.zeros(self.shape, dtype=dtype)
        size = (self._last() + 1 - self.offset) * dtype.itemsize
        raw = self.storage.keeper.read(self.storage.key, self.offset * dtype.itemsize, size)
        found = torch.frombuffer(raw, dtype=dtype).as_strided(self.shape, self.stride).contiguous()
        if dtype.is_floating_point and not bool(torch.isfinite(found).all()):
            raise UnsafeFileError(f"the tensor {name} holds NaN or infinite numbers: refused")
        return found


def without_prefixes(name: str) -> str:
    """A tensor's name without the prefixes of DataParallel and torch.compile."""
    while name.startswith(_PREFIXES):
        name = name.partition(".")[2]
    return name


_PREFIXES = ("module.", "_orig_mod.")

Reader = Callable[[int, int], bytearray]
"""Reads a number of bytes at an offset."""


@dataclass(frozen=True)
class Ranges:
    """Storages that are ranges of a file."""

    reader: Reader
    places: dict[str, tuple[int, int]]

    def length(self, key: str) -> int:
        return self.places.get(key, (0, 0))[1]

    def read(self, key: str, start: int, length: int) -> bytearray:
        return self.reader(self.places[key][0] + start, length)


def file_reader(path: Path) -> Reader:
    """Reads instead of mapping: mapped pages would count as this process's memory."""
    stream = path.open("rb", buffering=0)

    def read(start: int, length: int) -> bytearray:
        content = bytearray(length)
        view, done = memoryview(content), 0
        while done < length and (got := os.preadv(stream.fileno(), [view[done:]], start + done)):
            done += got
        if done < length:
            raise UnsafeFileError(f"{path.name}: cut short while it was read")
        return content

    return read


class Capped(io.FileIO):
    """A zip file object whose reads are limited to the maximum size of a directory."""

    def read(self, n: int | None = -1, /) -> bytes:
        wanted = _DIRECTORY_BYTES + 1 if n is None or n < 0 else n
        if wanted > _DIRECTORY_BYTES + 1:
            raise zipfile.BadZipFile(f"its directory claims {wanted} bytes")
        return super().read(wanted) or b""


class Within:
    """A file object whose reads are limited to the rest of the file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self.readline, self.tell, self.seek = file.readline, file.tell, file.seek

    def read(self, n: int = -1, /) -> bytes:
        left = max(0, self._size - self._file.tell())
        return self._file.read(left if n < 0 else min(n, left))


def memory_reader(content: bytes) -> Reader:
    return lambda start, length: bytearray(memoryview(content)[start : start + length])
