"""The item store: keys, receipts, and files that are complete or absent.

A unit of work is done if its receipt exists and holds its key: a digest of the input's bytes, the
stage's parameters, its code version and its models. Receipts are written last, by rename, so a
process killed at any moment loses only the units in progress. A file's bytes reach the disk before
its name, and an output's name before its receipt's, so the same holds for a power failure. Only
plain files are used, which works on NFS.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.digests import sha256_of
from pipeline.errors import StorageError

RECEIPT = ".receipt.json"
_TEMPORARY = ".tmp-"
_CHUNK_BYTES = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
"""Errors that only writing can cause."""
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
_waiting: ContextVar[set[Path] | None] = ContextVar("folders whose names wait", default=None)
_STALE = "redone"
"""The key in the receipt of a unit that is being redone; no unit has it."""


@contextmanager
def atomic_path(target: Path, *, settle: bool = True) -> Iterator[Path]:
    """A temporary path that replaces `target` if the block succeeds, and is removed otherwise.

    Parameters
    ----------
    settle
        Whether to sync the folder too, so that the file's name survives a power failure.

    Raises
    ------
    StorageError
        The disk is full, the quota is exceeded, or the folder is not writable.
    """
    name = f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}-{target.name[-140:]}"
    temporary = target.parent / name  # hosts that share the folder may have equal process ids
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, target)
        if settle:
            _settle(target.parent)
    except OSError as error:
        if not _is_of_storage(error, temporary, target):
            raise
        why = os.strerror(error.errno or 0)
        raise StorageError(
            f"cannot write {target}: {why}; finished items are kept: fix the cause, then run the "
            "same command again"
        ) from error
    finally:
        with suppress(OSError):  # may fail for the same reason; `sweep` removes it later
            temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if they do not exist.

    Raises
    ------
    StorageError
        Permission is denied, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise StorageError(f"cannot create the folder {folder}: {why}") from error


def _is_of_storage(error: OSError, *paths: Path) -> bool:
    """Whether the error is about writing these paths, not about something else in the block."""
    if error.errno in _FULL:
        return True
    places = {str(place) for path in paths for place in (path, *path.parents)}
    named = str(error.filename) in places or str(paths[0]) in str(error)
    return named and error.errno in {errno.EACCES, errno.EPERM, errno.EIO}


@contextmanager
def names_together() -> Iterator[None]:
    """Sync the folders of all files that the block writes once, at its end.

    Syncing after each file would cost a journal write each. The order in which the block's files
    appear on the disk is undefined. After an error nothing is synced: the files have no receipt.
    """
    folders: set[Path] = set()
    before = _waiting.set(folders)
    try:
        yield
    finally:
        _waiting.reset(before)
    for folder in sorted(folders):
        _sync_folder(folder)


def _settle(folder: Path) -> None:
    waiting = _waiting.get()
    if waiting is None:
        _sync_folder(folder)
    else:
        waiting.add(folder)


def _sync_folder(folder: Path) -> None:
    """Write a folder's entries to the disk; otherwise renames may be reordered."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def write_bytes(target: Path, content: bytes, *, settle: bool = True) -> None:
    """Write a file atomically."""
    with atomic_path(target, settle=settle) as temporary:
        temporary.write_bytes(content)


def write_json(target: Path, value: Any, *, indent: int | None = 1, settle: bool = True) -> None:
    """Write JSON atomically, with the same bytes for the same value.

    Without `indent` this is twenty times as fast: only Python's own encoder indents.
    """
    text = json.dumps(value, sort_keys=True, indent=indent, ensure_ascii=False, allow_nan=False)
    content = (text + "\n").encode("utf-8", "surrogatepass")  # file names may not be valid UTF-8
    write_bytes(target, content, settle=settle)


def read_json(path: Path) -> Any:
    """The value of one of our JSON files; None if it is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return None


@dataclass(frozen=True)
class Receipt:
    """The result of one unit: output files by suffix, rows and rejects by name."""

    unit: str
    key: str
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    numerics: dict[str, Any] = field(default_factory=dict)
    """`numerics.fingerprint`: what the bytes may depend on besides the key."""

    def sha256(self, suffix: str) -> str:
        """The sha256 of the output with that suffix."""
        return str(self.outputs[suffix]["sha256"])

    @classmethod
    def of(cls, value: Any) -> Receipt | None:
        """The receipt in a JSON value; None if it is not one."""
        match value:
            case {"unit": str(unit), "key": str(key), "outputs": dict(outputs), "rows": dict(rows)}:
                is_valid = (
                    all(map(_is_output, outputs, outputs.values()))
                    and all(isinstance(of, list) for of in rows.values())
                    and all(isinstance(row, dict) for of in rows.values() for row in of)
                )
                made_with = value.get("numerics", {})
                is_valid = is_valid and isinstance(made_with, dict)
                return cls(unit, key, outputs, rows, made_with) if is_valid else None
        return None

    @property
    def is_retracted(self) -> bool:
        """Whether the process ended while the unit was being redone."""
        return self.key == _STALE

    @property
    def n_bytes(self) -> int:
        """The size of all outputs."""
        return sum(int(output["bytes"]) for output in self.outputs.values())


def _is_output(suffix: str, output: Any) -> bool:
    """Whether an entry of a receipt names a file in the unit's folder, with digest and size."""
    match output:
        case {"sha256": str(), "bytes": int()}:
            return suffix.startswith(".") and "/" not in suffix and "\0" not in suffix
    return False


class ItemStore:
    """The units of one stage on disk: files `<folder>/<unit><suffix>` and a receipt each.

    With `outputs`, the files are there and only the receipts are in `folder`: published files come
    without bookkeeping.
    """

    def __init__(self, folder: Path, outputs: Path | None = None) -> None:
        self.folder = folder
        self.outputs = folder if outputs is None else outputs

    def path(self, unit: str, suffix: str) -> Path:
        """The path of a unit's output with that suffix."""
        return (self.folder if suffix == RECEIPT else self.outputs) / f"{unit}{suffix}"

    def receipt(self, unit: str) -> Receipt | None:
        """The receipt of a unit if all its outputs exist and have the recorded size, else None."""
        receipt = Receipt.of(read_json(self.path(unit, RECEIPT)))
        for suffix, output in receipt.outputs.items() if receipt else ():
            path = self.path(unit, suffix)
            if not path.is_file() or path.stat().st_size != output["bytes"]:
                return None
        return receipt

    def current(self, unit: str, key: str) -> Receipt | None:
        """The receipt of a unit if it is complete and has that key, else None."""
        receipt = self.receipt(unit)
        return receipt if receipt is not None and receipt.key == key else None

    def size(self, receipt: Receipt) -> int:
        """Bytes of a unit's outputs and its receipt."""
        return receipt.n_bytes + self.path(receipt.unit, RECEIPT).stat().st_size

    def retract(self, unit: str) -> None:
        """Mark a unit as being redone: until `commit`, its receipt matches no key.

        Otherwise, after a kill between writing output and receipt, an output of the new key could
        be found with the receipt of the old key, and could even have the recorded size.
        """
        receipt = self.receipt(unit)
        if receipt is not None and receipt.key != _STALE:
            write_json(self.path(unit, RECEIPT), {**vars(receipt), "key": _STALE}, indent=None)

    def commit(
        self,
        unit: str,
        key: str,
        suffixes: Iterable[str],
        rows: dict[str, Any],
        numerics: Mapping[str, Any] | None = None,
    ) -> Receipt:
        """Write the receipt of a unit after its outputs, and remove its older outputs.

        The receipt is not synced: the unit is not done until its name reaches the disk.
        """
        outputs = {
            suffix: {"sha256": sha256_of(path), "bytes": path.stat().st_size}
            for suffix in sorted(suffixes)
            for path in [self.path(unit, suffix)]
        }
        receipt = Receipt(unit, key, outputs, rows, dict(numerics or {}))
        previous = self.receipt(unit)
        write_json(self.path(unit, RECEIPT), vars(receipt), indent=None, settle=False)
        for suffix in set(previous.outputs if previous else ()) - set(outputs):
            self.path(unit, suffix).unlink(missing_ok=True)
        return receipt

    def units(self) -> set[str]:
        """The units that have a receipt."""
        paths = self.folder.rglob(f"*{RECEIPT}") if self.folder.is_dir() else ()
        complete = (p for p in paths if not p.name.startswith(_TEMPORARY))
        return {p.relative_to(self.folder).as_posix().removesuffix(RECEIPT) for p in complete}

    def prune(self, planned: Iterable[str]) -> list[str]:
        """Remove units that are no longer planned; returns their names, sorted."""
        gone = sorted(self.units() - set(planned))
        for unit in gone:
            self.remove(unit)
        return gone

    def remove(self, unit: str) -> list[Path]:
        """Remove a unit, its receipt first; returns the files removed."""
        receipt = Receipt.of(read_json(self.path(unit, RECEIPT)))
        suffixes = receipt.outputs if receipt else ()  # `sweep` removes files that no receipt names
        paths = [path for s in (RECEIPT, *suffixes) if (path := self.path(unit, s)).is_file()]
        for path in paths:
            path.unlink(missing_ok=True)
        return paths

    def sweep(self, known: Mapping[str, Receipt] | None = None) -> None:
        """Remove files that no receipt names, such as those of killed processes, and empty folders.

        Only safe while no other process works on the stage.

        Parameters
        ----------
        known
            All units' receipts, if already read.
        """
        named = self._named(self._receipts() if known is None else known)
        for folder in {self.folder, self.outputs}:
            for path in sorted(folder.rglob("*") if folder.is_dir() else (), reverse=True):
                if path.is_dir() and not path.is_symlink():
                    if not any(path.iterdir()):
                        path.rmdir()
                elif path not in named:
                    path.unlink(missing_ok=True)

    def _receipts(self) -> dict[str, Receipt]:
        read = ((unit, self.receipt(unit)) for unit in self.units())
        return {unit: receipt for unit, receipt in read if receipt is not None}

    def _named(self, receipts: Mapping[str, Receipt]) -> set[Path]:
        return {
            self.path(unit, suffix)
            for unit, receipt in receipts.items()
            for suffix in (RECEIPT, *receipt.outputs)
        }


def sweep_temporaries(folder: Path, *, without: Collection[Path]) -> None:
    """Remove temporary files of killed processes, except in the folders `without`.

    Only safe while no other process works there.
    """
    for place in folder.iterdir():
        if place.name.startswith(_TEMPORARY):
            place.unlink(missing_ok=True)
        elif place.is_dir() and place not in without:
            for path in sorted(place.rglob(f"{_TEMPORARY}*")):
                path.unlink(missing_ok=True)


def _is_remembered(row: Any) -> bool:
    """Whether a row is a size, two times and a hash."""
    match row:
        case [int(), int(), int(), str()]:
            return True
    return False


class FileHashes:
    """A cache of source files' hashes by path, size, mtime and ctime.

    A corpus of 400 GB is read only once. The cache is local (never an output) and may be deleted.
    ctime counts too, because mtime can be set, and a clock set back may repeat it. A cached hash is
    used only if both times are equal, never if they are "older".
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        content = read_json(file)  # a damaged cache counts as empty
        self._known: dict[str, list[Any]] = (
            {name: row for name, row in content.items() if _is_remembered(row)}
            if isinstance(content, dict)
            else {}
        )
        self._changed = False

    def sha256(self, path: Path, start: int = 0, length: int | None = None) -> str:
        """The sha256 of a file, or of `length` bytes from `start` (a member of a tar)."""
        stamp = self._stamp(path)
        name = f"{path}:{start}:{length}"
        known = self._known.get(name)
        if known is not None and known[:-1] == stamp:
            return str(known[-1])
        value = self._read(path, start, stamp[0] - start if length is None else length)
        if self._stamp(path) == stamp:  # else it is being written; read it again next time
            self._known[name] = [*stamp, value]
            self._changed = True
        return value

    def known(self, path: Path, start: int = 0, length: int | None = None) -> str | None:
        """The cached hash of an unchanged file, else None; does not read the file."""
        known = self._known.get(f"{path}:{start}:{length}")
        return str(known[-1]) if known is not None and known[:-1] == self._stamp(path) else None

    @staticmethod
    def _stamp(path: Path) -> list[int]:
        stat = path.stat()
        return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]

    def forget(self, is_meant: Callable[[str], bool]) -> int:
        """Drop entries by name; returns how many."""
        kept = {name: known for name, known in self._known.items() if not is_meant(name)}
        n = len(self._known) - len(kept)
        self._known, self._changed = kept, self._changed or n > 0
        return n

    @staticmethod
    def _read(path: Path, start: int, length: int) -> str:
        hasher = hashlib.sha256()
        with path.open("rb") as stream:
            stream.seek(start)
            while length > 0 and (chunk := stream.read(min(length, _CHUNK_BYTES))):
                hasher.update(chunk)
                length -= len(chunk)
        return hasher.hexdigest()

    def save(self) -> None:
        """Write the cache if it has changed."""
        if self._changed:
            write_json(self.file, self._known)
            self._changed = False
