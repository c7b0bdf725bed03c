"""Read the directory of a zip and the bytes of its members, within limits.

The library parses the directory once. Members are read here, because `zipfile.ZipFile` would parse
it again for each of them: 2 s of a core for 260,000 members, as many as MEAD has.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import Reject

MAX_DIRECTORY_BYTES = 32 << 20
"""Longest directory that is read: about 300,000 members with usual names."""
MAX_MEMORY_BYTES = 1 << 30
"""Largest member that is unpacked into memory, regardless of the caller's limit."""
_MAX_RATIO = 200
"""No recording compresses that well; a member that claims to is a zip bomb."""
_RATIO_FREE_BYTES = 16 << 20
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x1
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_MODE_MASK = 0o170000
_ODD_MODES = {
    0o120000: "a symbolic link", 0o020000: "a device", 0o060000: "a device",
    0o010000: "a named pipe", 0o140000: "a socket",
}  # fmt: skip


@dataclass(frozen=True)
class ZipEntry:
    """One member: the position of its local header, and its compression.

    `problem` is a (reason, detail) for a member that must not be read.
    """

    name: str
    header: int
    packed_bytes: int
    plain_bytes: int
    method: int
    crc: int
    problem: tuple[str, str] | None


class _Capped(io.FileIO):
    """A file that limits single reads to the largest allowed directory."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = MAX_DIRECTORY_BYTES + 1
        if size > MAX_DIRECTORY_BYTES + 1:
            raise zipfile.BadZipFile(f"a directory of {size} bytes; at most {MAX_DIRECTORY_BYTES}")
        return super().read(size) or b""


def read_directory(path: Path) -> Iterator[ZipEntry]:
    """Yield every member that is not a folder, in the order of the directory.

    Raises
    ------
    Reject
        unreadable, if the directory is damaged, truncated or too long.
    """
    try:
        with _Capped(str(path)) as stream, zipfile.ZipFile(stream) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise Reject("unreadable", f"{path.name} is not a complete zip: {error}") from error
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        # The standard library raises these for directories with wrong lengths.
        raise Reject("unreadable", f"{path.name} has a damaged directory: {error}") from error
    for info in infos:
        if not info.filename.endswith("/"):
            name = info.filename.encode("utf-8", "backslashreplace").decode()
            yield ZipEntry(
                name, info.header_offset, info.compress_size, info.file_size,
                info.compress_type, info.CRC, _problem(info),
            )  # fmt: skip


def _problem(info: zipfile.ZipInfo) -> tuple[str, str] | None:
    if info.flag_bits & _ENCRYPTED:
        return "encrypted", "the member of the zip is encrypted; unpack it with its password"
    odd = _ODD_MODES.get((info.external_attr >> 16) & _MODE_MASK)
    if odd is not None:
        return "unsafe_member", f"{odd} in an archive is never followed"
    if info.compress_type not in (_STORED, _DEFLATED):
        # The standard library would unpack any amount of these at once.
        return "unreadable", f"packed by method {info.compress_type}; only 0 and 8 are read"
    free = info.file_size <= _RATIO_FREE_BYTES
    if not free and info.file_size > _MAX_RATIO * max(info.compress_size, 1):
        claim = f"{info.compress_size} bytes claim to unpack into {info.file_size}"
        return "too_large", f"{claim}: no recording does"
    return None


def data_offset(stream: BinaryIO, entry: ZipEntry) -> int:
    """The offset of a member's compressed bytes.

    Raises
    ------
    Reject
        unreadable, if the local header is missing.
    """
    raw = b""
    if 0 <= entry.header < stream.seek(0, io.SEEK_END):
        stream.seek(entry.header)
        raw = stream.read(_LOCAL_HEADER.size)
    if len(raw) < _LOCAL_HEADER.size or not raw.startswith(b"PK\x03\x04"):
        raise Reject("unreadable", f"{entry.name}: no local header at byte {entry.header}")
    _, name_length, extra_length = _LOCAL_HEADER.unpack(raw)
    return entry.header + _LOCAL_HEADER.size + int(name_length) + int(extra_length)


def read_member(stream: BinaryIO, entry: ZipEntry, max_bytes: int) -> bytes:
    """The uncompressed bytes of a member, with length and checksum verified.

    Raises
    ------
    Reject
        too_large beyond `max_bytes`; unreadable if the bytes do not match the directory.
    """
    limit = min(max_bytes, MAX_MEMORY_BYTES)
    if max(entry.plain_bytes, entry.packed_bytes) > limit:
        size = max(entry.plain_bytes, entry.packed_bytes)
        raise Reject("too_large", f"{entry.name}: {size} bytes; at most {limit} of a zip's member")
    stream.seek(data_offset(stream, entry))
    content = stream.read(entry.packed_bytes)
    if entry.method == _DEFLATED:
        content = _inflate(content, entry)
    if len(content) != entry.plain_bytes or zlib.crc32(content) != entry.crc:
        raise Reject(
            "unreadable", f"{entry.name}: its length or checksum does not match the directory"
        )
    return content


def _inflate(packed: bytes, entry: ZipEntry) -> bytes:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = unpacker.decompress(packed, entry.plain_bytes + 1)
    except zlib.error as error:
        raise Reject("unreadable", f"{entry.name}: {error}") from error
    if unpacker.unused_data or not unpacker.eof:
        raise Reject("unreadable", f"{entry.name}: it does not end where the directory declares")
    return plain
