"""Read sources as bytes: plain files, and members of archives in place.

Nothing is extracted to disk: a tar member is read as a range of the archive, a zip member is
unpacked into memory within limits. Member names are compared, never opened as paths.
"""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from pipeline.corpora.tarindex import TarDamage, TarEntry, read_headers
from pipeline.corpora.zipindex import ZipEntry, data_offset, read_directory, read_member
from pipeline.digests import digest
from pipeline.errors import Reject
from pipeline.records import Source
from pipeline.runtime.store import FileHashes

ARCHIVES = (".tar", ".zip")
MAX_MEMBERS = 400_000
"""Limit of members per archive; all of MEAD has about 260,000."""
MAX_NAME = 4096
MAX_COMPARED_BYTES = 1 << 30
_BUFFER_BYTES = 1 << 16
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")

Problem = tuple[str, str]
"""Reason slug and detail."""
Member = TarEntry | ZipEntry


@dataclass(frozen=True)
class Index:
    """The members of one archive by name, and those replaced by a later member of the same name.

    As in tar and unzip, the last of several members of one name is used. `fault` says where reading
    had to stop.
    """

    members: dict[str, Member]
    replaced: tuple[Member, ...]
    fault: Problem | None
    file_bytes: int

    def problem(self, member: Member) -> Problem | None:
        """Why a member must not be read, None for a valid one."""
        odd = member.name.startswith(("/", "\\")) or ".." in parts_of(member.name)
        if odd or len(member.name) > MAX_NAME:
            return (
                "unsafe_member",
                "its name leads out of the archive or is longer than 4096 characters",
            )
        if isinstance(member, ZipEntry):
            return member.problem
        if member.oddity is not None:
            return "unsafe_member", f"{member.oddity} in an archive is never followed"
        if member.offset + member.size > self.file_bytes:
            end = member.offset + member.size
            return "truncated", f"the archive has {self.file_bytes} bytes, the member ends at {end}"
        return None


def parts_of(name: str) -> tuple[str, ...]:
    """The parts of a member's name; some zip writers separate folders by backslashes."""
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def base_of(root: Path) -> Path:
    """The folder that the paths of a dataset's sources are relative to; a root may be one file."""
    return root.parent if root.is_file() else root


def index_of(path: Path) -> Index:
    """The members of an archive, cached until the file changes.

    Raises
    ------
    Reject
        unreadable, missing_file or too_large, for the archive as a whole.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return _index(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _index(path: Path, file_bytes: int, _changed_ns: int) -> Index:
    members: dict[str, Member] = {}
    replaced: list[Member] = []
    fault: Problem | None = None
    try:
        for member in _members(path, file_bytes):
            if member.name in members:
                replaced.append(members[member.name])
            members[member.name] = member
            if len(members) + len(replaced) > MAX_MEMBERS:
                raise Reject("too_large", f"{path.name}: more than {MAX_MEMBERS} members")
    except TarDamage as damage:
        fault = damage.reason, f"{path.name}: {damage}"
    if fault is not None and not members:
        with _open(path) as stream:
            is_packed = stream.read(6).startswith(_PACKED)
        hint = " (a compressed tar must be unpacked to a plain one)" if is_packed else ""
        raise Reject("unreadable", f"{fault[1]}{hint}")
    return Index(members, tuple(replaced), fault, file_bytes)


def _members(path: Path, file_bytes: int) -> Iterator[Member]:
    if path.suffix.lower() == ".zip":
        yield from read_directory(path)
        return
    with _open(path) as stream:
        yield from read_headers(stream, file_bytes)


@contextmanager
def open_source(root: Path, source: Source, max_bytes: int) -> Iterator[str | BinaryIO]:
    """A source in a form that decoders accept: a path, or a seekable read-only stream.

    Parameters
    ----------
    max_bytes
        Larger sources are rejected before they are read.

    Raises
    ------
    Reject
        missing_file, unreadable, truncated, too_large, encrypted or unsafe_member.
    """
    path = base_of(root) / source.path
    if source.member is None:
        _check_size(source, _plain_size(path), max_bytes)
        yield str(path)
        return
    member = _find(path, source)
    with _open(path) as archive:
        if isinstance(member, ZipEntry):
            stream: BinaryIO = io.BytesIO(read_member(archive, member, max_bytes))
        else:
            _check_size(source, member.size, max_bytes)
            window = _Window(archive, member.offset, member.size)
            stream = io.BufferedReader(window, _BUFFER_BYTES)
        with stream:
            yield stream


def source_sha256(hashes: FileHashes, root: Path, source: Source) -> str:
    """Content hash of a source: of a file's or a member's bytes.

    A tar member or an uncompressed zip member has the hash of the same bytes as a file; a
    compressed member has the hash of its compressed bytes, so that nothing needs to be unpacked.

    Raises
    ------
    Reject
        As `open_source`.
    """
    path = base_of(root) / source.path
    try:
        if source.member is None:
            _plain_size(path)
            return hashes.sha256(path)
        member = _find(path, source)
        if isinstance(member, TarEntry):
            return hashes.sha256(path, member.offset, member.size)
        with _open(path) as archive:
            start = data_offset(archive, member)
        packed = hashes.sha256(path, start, member.packed_bytes)
        return digest({"zip": member.method, "packed": packed}) if member.method else packed
    except OSError as error:
        raise _unreadable(path, error) from error


def same_content(root: Path, one: Source, other: Source) -> bool:
    """Whether two sources hold the same bytes, judged by their size, start, middle and end.

    A source that cannot be read is no copy.
    """
    try:
        return _sampled(root, one) == _sampled(root, other)
    except (Reject, OSError):
        return False


def _sampled(root: Path, source: Source) -> tuple[int, list[bytes]]:
    """The size of a source, and blocks of its start, middle and end."""
    with (
        open_source(root, source, MAX_COMPARED_BYTES) as opened,
        Path(opened).open("rb") if isinstance(opened, str) else opened as stream,
    ):
        size = stream.seek(0, io.SEEK_END)
        blocks = []
        for at in (0, size // 2, max(0, size - _BUFFER_BYTES)):
            stream.seek(at)
            blocks.append(stream.read(_BUFFER_BYTES))
        return size, blocks


class _Window(io.RawIOBase):
    """Bytes [start, start + length) of an open file as a separate stream."""

    def __init__(self, stream: BinaryIO, start: int, length: int) -> None:
        self._stream = stream
        self._start = start
        self._length = length
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        if origin + offset < 0:
            raise ValueError(f"a seek to {origin + offset}, before the start")
        self._position = origin + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        wanted = max(0, min(len(buffer), self._length - self._position))
        self._stream.seek(self._start + self._position)
        content = self._stream.read(wanted)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def _find(path: Path, source: Source) -> Member:
    index = index_of(path)
    member = index.members.get(source.member or "")
    if member is None:
        raise Reject("missing_file", f"{source}: the archive has no such member")
    problem = index.problem(member)
    if problem is not None:
        raise Reject(problem[0], f"{source}: {problem[1]}")
    return member


def _plain_size(path: Path) -> int:
    """The size of a regular file; others (pipes, devices) could block forever."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise Reject("unreadable", f"{path.name} is not a regular file")
    return status.st_size


def _check_size(source: Source, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise Reject("too_large", f"{source}: {size} bytes; at most {max_bytes}")


def _open(path: Path) -> BinaryIO:
    _plain_size(path)
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError | ValueError) -> Reject:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return Reject("missing_file", f"{path.name}: no such file")
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Reject("unreadable", f"{path.name}: {text}")
