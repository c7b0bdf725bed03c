"""torch's two file formats, zip and the one before torch 1.6, read by the safe unpickler.

`torch.load(weights_only=True, mmap=True)` is not used: it takes what a pickle asks for, 2.4 GB for
a file of 1.3 kB (`swells.pt` in tests/hostile/weights.py).
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import PipelineError
from pipeline.models import safe_pickle
from pipeline.models.pickle_scan import Limits, Stream, UnsafeFileError
from pipeline.models.stored_tensors import (
    Capped,
    Ranges,
    Reader,
    Storage,
    StorageType,
    memory_reader,
)

_MAGIC = 0x1950A86A20F9469CFC6C
"""The magic number of torch's older format."""
MAGIC_PICKLE = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LOCAL_HEADER = 30
_PICKLE_BYTES = 256 << 20
"""Limit of the pickle inside a torch zip, which has only names and shapes."""


def torch_zip(path: Path, reader: Reader, size: int, limits: Limits) -> Any:
    places = dict(_members(path, reader, size, limits))
    inner = [name for name in places if name.endswith("/data.pkl") and name.count("/") == 1]
    if not inner:
        raise PipelineError(f"{path.name} is a zip but no torch file: unpack it first")
    root = inner[0].removesuffix("data.pkl")
    if places.get(f"{root}byteorder", (0, 0))[1] == len("big"):
        raise PipelineError(f"{path.name}: its byte order is big; only little is read")
    ranges, length = Ranges(reader, places), places[inner[0]][1]
    if length > _PICKLE_BYTES:
        raise UnsafeFileError(f"{path.name} is refused: its index alone has {length >> 20} MB")

    def storage(pid: tuple[Any, ...]) -> Storage:
        return _storage_of(pid, path.name, ranges, f"{root}data/")

    stream = BytesIO(ranges.read(inner[0], 0, length))
    return safe_pickle.load(stream, path.name, limits, Nested(path.name, limits), storage)


def _members(
    path: Path, reader: Reader, size: int, limits: Limits
) -> Iterator[tuple[str, tuple[int, int]]]:
    """Names and positions of a zip's members, which must be uncompressed."""
    try:
        with Capped(path) as stream, zipfile.ZipFile(stream) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise UnsafeFileError(f"{path.name}: damaged or cut short ({error})") from None
    if len(infos) > limits.tensors:
        raise UnsafeFileError(f"{path.name} is refused: {len(infos)} members")
    if any("/code/" in info.filename for info in infos):
        raise UnsafeFileError(
            f"{path.name} is refused: a TorchScript archive holds code; only tensors are read"
        )
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise UnsafeFileError(f"{path.name} is refused: {info.filename} in it is compressed")
        within = 0 <= info.header_offset <= size - _LOCAL_HEADER
        head = reader(info.header_offset, _LOCAL_HEADER) if within else b""
        if not head.startswith(b"PK\x03\x04"):
            raise UnsafeFileError(f"{path.name}: damaged, {info.filename} in it is not there")
        name, extra = struct.unpack("<HH", head[26:30])
        start = info.header_offset + _LOCAL_HEADER + name + extra
        if start + info.file_size > size:
            raise UnsafeFileError(f"{path.name}: cut short, {info.filename} in it is not whole")
        yield info.filename, (start, info.file_size)


def _storage_of(pid: tuple[Any, ...], what: str, keeper: Ranges, prefix: str) -> Storage:
    audio = len(pid) in (5, 6) and pid[0] == "storage" and isinstance(pid[1], StorageType)
    if not audio or not isinstance(pid[2], str) or type(pid[4]) is not int:
        raise UnsafeFileError(f"{what}: a storage that torch would not write is refused")
    if len(pid) == 6 and pid[5] is not None:
        raise UnsafeFileError(f"{what}: a storage that is a part of another is not read")
    return Storage(keeper, prefix + pid[2], pid[1].dtype, pid[4])


@dataclass(frozen=True)
class Nested:
    """Reads the torch files inside NVIDIA's pickles, one per tensor, without further nesting."""

    what: str
    limits: Limits

    def __call__(self, content: object) -> Storage:
        if not isinstance(content, bytes) or not content.startswith(MAGIC_PICKLE):
            raise UnsafeFileError(f"{self.what} is refused: an inner file that is none of torch's")
        reader = memory_reader(content)
        stream = BytesIO(content)
        found = torch_legacy(stream, reader, len(content), self.what, self.limits, inner=True)
        if not isinstance(found, Storage):
            raise UnsafeFileError(f"{self.what} is refused: an inner file that is no storage")
        return found


def _no_more(content: object) -> Storage:
    raise UnsafeFileError("a file inside a file inside a file is refused")


def torch_legacy(
    source: Stream, reader: Reader, size: int, what: str, limits: Limits, *, inner: bool = False
) -> Any:
    """torch's format before 1.6: five pickles, then the count and bytes of each storage."""
    places: dict[str, tuple[int, int]] = {}
    keeper = Ranges(reader, places)
    types: dict[str, torch.dtype] = {}

    def storage(pid: tuple[Any, ...]) -> Storage:
        found = _storage_of(pid, what, keeper, "")
        types[found.key] = found.dtype
        return found

    nested = _no_more if inner else Nested(what, limits)

    def load() -> Any:
        return safe_pickle.load(source, what, limits, nested, storage)

    magic, _, system = load(), load(), load()
    if magic != _MAGIC or not isinstance(system, dict) or not system.get("little_endian", True):
        raise UnsafeFileError(f"{what}: damaged, or of a big-endian machine")
    tree, keys = load(), load()
    if not isinstance(keys, list):
        raise UnsafeFileError(f"{what}: damaged, it has no list of storages")
    position = source.tell()
    for key in keys:
        if not isinstance(key, str) or key not in types:
            raise UnsafeFileError(f"{what}: damaged, a storage in it has no type")
        count = reader(position, 8) if position + 8 <= size else b""
        length = int.from_bytes(count, "little") * types[key].itemsize
        if not count or position + 8 + length > size:
            raise UnsafeFileError(f"{what}: cut short, or a storage claims more than is there")
        places[key] = (position + 8, length)
        position += 8 + length
    return tree
