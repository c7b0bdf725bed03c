"""Read the headers of a tar one by one, without extracting or trusting anything.

The standard library's reader is not used: on a hostile file it reads name records of any length
into memory, recurses on chains of them and scans them with a regular expression of quadratic cost.
This one reads at most `MAX_RECORD_BYTES` for a header, in one pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK = 512
MAX_RECORD_BYTES = 64 << 10
"""Longest name or pax record that is read; file systems limit paths to 4096 bytes."""
MAX_HEADERS = 1_000_000
"""Limit of headers per tar; all of MEAD has about 260,000."""
_MAX_ZERO_BLOCKS = 4096
"""Zero blocks skipped in search of a second archive joined to the first."""
_REGULAR = frozenset(b"0\x007")
_WITHOUT_DATA = frozenset(b"123456")
_KINDS = {
    ord("1"): "a hard link",
    ord("2"): "a symbolic link",
    ord("3"): "a device",
    ord("4"): "a device",
    ord("6"): "a named pipe",
    ord("S"): "a sparse file",
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
        _check_sum(header, position)
        if headers > MAX_HEADERS:
            raise TarDamage("too_large", f"more than {MAX_HEADERS} headers; the rest is not read")
        kind, size = header[156], _number(header[124:136], position)
        data = position + BLOCK
        if kind in b"LKxXg":
            _extend(pending, kind, stream, data, size, file_bytes)
            position = data + _padded(size)
            continue
        size = size if pending.size is None else pending.size
        if kind == ord("S"):
            data = _after_sparse_map(stream, header, data, file_bytes)
        name = pending.name or _header_name(header)
        if kind in b"\x000" and name.endswith("/"):
            kind = ord("5")
        if kind != ord("5"):
            yield TarEntry(name, data, size, _oddity(kind, pending))
        position = data + (0 if kind in _WITHOUT_DATA else _padded(size))
        pending = _Pending()
    _check_end(position, zeros, file_bytes)


def _oddity(kind: int, pending: _Pending) -> str | None:
    if kind in _REGULAR:
        return "a sparse file" if pending.sparse else None
    return _KINDS.get(kind, f"of the unknown type {chr(kind)!r}")


def _check_end(position: int, zeros: int, file_bytes: int) -> None:
    if position > file_bytes:
        short = position - file_bytes
        raise TarDamage("truncated", f"it ends {short} bytes before its last member does")
    if zeros == 0:
        detail = f"it ends at byte {file_bytes} without the mark of an end; it may be cut off"
        raise TarDamage("truncated", detail)


def _extend(
    pending: _Pending, kind: int, stream: BinaryIO, data: int, size: int, file_bytes: int
) -> None:
    """Apply a record that describes the next member."""
    if size > MAX_RECORD_BYTES:
        raise TarDamage("unreadable", f"a name record of {size} bytes at byte {data}")
    if data + size > file_bytes:
        raise TarDamage("truncated", f"it ends inside a name record at byte {data}")
    content = _read(stream, data, size)
    if kind == ord("L"):
        pending.name = _text(content)
    elif kind in b"xX":
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


def _header_name(header: bytes) -> str:
    name = _text(header[:100])
    # Old GNU headers have times where POSIX has the first part of a long path.
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\x00" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(raw: bytes) -> str:
    return raw.split(b"\x00", 1)[0].decode("utf-8", "backslashreplace")


def _number(raw: bytes, place: int) -> int:
    """A size: octal digits, or base 256 if the first bit is set."""
    if raw[0] & 0x80:
        value = int.from_bytes(bytes([raw[0] & 0x7F]) + raw[1:], "big")
    else:
        digits = raw.strip(b"\x00 ").split(b"\x00", 1)[0].strip(b" ")
        if digits.strip(b"01234567"):
            raise TarDamage("unreadable", f"a header without a size at byte {place}")
        value = int(digits or b"0", 8)
    if value >= 1 << 62:
        raise TarDamage("unreadable", f"a header that claims {value} bytes at byte {place}")
    return value


def _check_sum(header: bytes, place: int) -> None:
    """Verify a header's checksum, its own field as blanks; old writers added signed bytes."""
    stored = header[148:156].strip(b"\x00 ").split(b"\x00", 1)[0].strip(b" ")
    claimed = -1 if not stored or stored.strip(b"01234567") else int(stored, 8)
    total = sum(header[:148]) + 256 + sum(header[156:])
    if claimed == total:
        return
    if claimed != total - 256 * sum(byte > 127 for byte in header[:148] + header[156:]):
        raise TarDamage("unreadable", f"no header where one must be, at byte {place}")


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _read(stream: BinaryIO, position: int, length: int) -> bytes:
    stream.seek(position)
    content = stream.read(length)
    if len(content) < length:
        raise TarDamage("truncated", f"it ends inside a header at byte {position}")
    return content
