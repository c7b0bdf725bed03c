"""Read the headers of a tar one by one, without extracting or trusting anything.

The standard library parses the single headers. Its reader of whole files is not used: a name record
of 1 GiB takes 1 GiB of memory, and a chain of 3000 of them ends in a RecursionError. This one reads
at most `MAX_RECORD_BYTES` for a header, in one pass.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from tarfile import BLOCKSIZE as BLOCK
from typing import BinaryIO

MAX_RECORD_BYTES = 64 << 10
"""Longest name or pax record that is read; file systems limit paths to 4096 bytes."""
MAX_HEADERS = 1_000_000
"""Limit of headers per tar; all of MEAD has about 260,000."""
_MAX_ZERO_BLOCKS = 4096
"""Zero blocks skipped in search of a second archive joined to the first."""
_WITHOUT_DATA = (
    tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
)  # fmt: skip
_EXTENSIONS = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE,
    tarfile.XGLTYPE,
)  # fmt: skip
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
}


class TarDamage(Exception):
    """The headers cannot be read any further; earlier members stay valid.

    `reason` is a slug: truncated, unreadable or too_large.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class TarEntry:
    """One member: the position of its bytes; `oddity` says what it is if not a plain file."""

    name: str
    offset: int
    size: int
    oddity: str | None


@dataclass
class _Pending:
    """What extension records declare about the next header."""

    name: str | None = None
    size: int | None = None
    sparse: bool = False


def read_headers(stream: BinaryIO, file_bytes: int) -> Iterator[TarEntry]:
    """Yield every member that is not a folder, in the order of the archive.

    Archives that were joined end to end are read as one. A member may claim bytes beyond the end of
    the file; it is yielded before the damage is raised.

    Raises
    ------
    TarDamage
        If the file ends early or a header is invalid, with the position in bytes.
    """
    position, zeros, headers, pending = 0, 0, 0, _Pending()
    while position + BLOCK <= file_bytes and zeros < _MAX_ZERO_BLOCKS:
        header = _read(stream, position, BLOCK)
        if not any(header):
            zeros, position = zeros + 1, position + BLOCK
            continue
        zeros, headers = 0, headers + 1
        if headers > MAX_HEADERS:
            raise TarDamage("too_large", f"more than {MAX_HEADERS} headers; the rest is not read")
        info = _parsed(header, position)
        data = position + BLOCK
        if info.type in _EXTENSIONS:
            _extend(pending, info, stream, data, file_bytes)
            position = data + _padded(info.size)
            continue
        size = info.size if pending.size is None else pending.size
        if info.type == tarfile.GNUTYPE_SPARSE:
            data = _after_sparse_map(stream, header, data, file_bytes)
        # Old GNU headers have times where POSIX has the first part of a long path.
        name = pending.name or (
            info.name if header[257:263] == b"ustar\x00" else _text(header[:100])
        )
        if pending.name and header[156:157] == tarfile.AREGTYPE:
            info.type = tarfile.REGTYPE  # taken for a folder where its own name is cut at a slash
        if not (info.isdir() or (info.isreg() and name.endswith("/"))):
            yield TarEntry(name, data, size, _oddity(info, pending))
        position = data + (0 if info.type in _WITHOUT_DATA else _padded(size))
        pending = _Pending()
    _check_end(position, zeros, file_bytes)


def _parsed(header: bytes, position: int) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(header, "utf-8", "backslashreplace")
    except tarfile.HeaderError as error:
        raise TarDamage("unreadable", f"no header where one must be, at byte {position}") from error
    if not 0 <= info.size < 1 << 62:
        raise TarDamage("unreadable", f"a header that claims {info.size} bytes at byte {position}")
    return info


def _oddity(info: tarfile.TarInfo, pending: _Pending) -> str | None:
    if info.type == tarfile.GNUTYPE_SPARSE or pending.sparse:
        return "a sparse file"
    if info.isreg():
        return None
    return _KINDS.get(info.type, f"of the unknown type {info.type.decode('latin-1')!r}")


def _check_end(position: int, zeros: int, file_bytes: int) -> None:
    if position > file_bytes:
        short = position - file_bytes
        raise TarDamage("truncated", f"it ends {short} bytes before its last member does")
    if zeros == 0:
        detail = f"it ends at byte {file_bytes} without the mark of an end; it may be cut off"
        raise TarDamage("truncated", detail)


def _extend(
    pending: _Pending, info: tarfile.TarInfo, stream: BinaryIO, data: int, file_bytes: int
) -> None:
    """Apply a record that describes the next member."""
    if info.size > MAX_RECORD_BYTES:
        raise TarDamage("unreadable", f"a name record of {info.size} bytes at byte {data}")
    if data + info.size > file_bytes:
        raise TarDamage("truncated", f"it ends inside a name record at byte {data}")
    content = _read(stream, data, info.size)
    if info.type == tarfile.GNUTYPE_LONGNAME:
        pending.name = _text(content)
    elif info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
        _read_pax(pending, content, data)


def _read_pax(pending: _Pending, content: bytes, place: int) -> None:
    """Records `<length> <key>=<value>\\n`; only path, size and marks of sparse files are used."""
    start = 0
    while start < len(content) and content[start]:
        blank = content.find(b" ", start, start + 12)
        length = int(content[start:blank]) if blank > 0 and content[start:blank].isdigit() else 0
        record = content[blank + 1 : start + length]
        if (
            length == 0
            or start + length > len(content)
            or not record.endswith(b"\n")
            or b"=" not in record
        ):
            raise TarDamage("unreadable", f"a damaged pax record at byte {place + start}")
        key, value = record[:-1].split(b"=", 1)
        if key == b"path":
            pending.name = _text(value)
        elif key == b"size" and value.isdigit() and len(value) < 20:
            pending.size = int(value)
        elif key.startswith(b"GNU.sparse."):
            pending.sparse = True
        start += length


def _after_sparse_map(stream: BinaryIO, header: bytes, data: int, file_bytes: int) -> int:
    """The start of an old GNU sparse member's data: after the blocks that continue its map."""
    more = header[482]
    while more and data + BLOCK <= file_bytes:
        more = _read(stream, data, BLOCK)[504]
        data += BLOCK
    return data


def _text(raw: bytes) -> str:
    return raw.split(b"\x00", 1)[0].decode("utf-8", "backslashreplace")


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _read(stream: BinaryIO, position: int, length: int) -> bytes:
    stream.seek(position)
    content = stream.read(length)
    if len(content) < length:
        raise TarDamage("truncated", f"it ends inside a header at byte {position}")
    return content
