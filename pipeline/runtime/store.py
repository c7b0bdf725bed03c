"""What must be redone: keys, receipts, and files that are whole or absent.

A unit of work is done when its receipt stands beside its outputs and carries its key: a digest of
the input's bytes, the stage's parameters, its code version and its models. Receipts are written
last, by rename, so a process killed at any moment loses the units in flight and nothing else.
A file's bytes are on the disk before its name is, and an output's name before its receipt's: the
same holds when the power goes. Plain files only: this holds on NFS.
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
"""What only a write can meet."""
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
_waiting: ContextVar[set[Path] | None] = ContextVar("folders whose names wait", default=None)
_STALE = "redone"
"""The key of a receipt whose unit is being redone: it is nobody's."""


@contextmanager
def atomic_path(target: Path, *, settle: bool = True) -> Iterator[Path]:
    """A temporary path beside `target` that becomes it when the block ends well, else vanishes.

    Parameters
    ----------
    settle
        Whether the file's name is on the disk at the end, not only its bytes.

    Raises
    ------
    StorageError
        Where the disk is full, the quota used up, or the folder no longer to be written.
    """
    name = f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}-{target.name[-140:]}"
    temporary = target.parent / name  # several hosts may share a folder, and process ids
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
            f"cannot write {target}: {why}; what is finished is kept: mend it, then run the same "
            "command again"
        ) from error
    finally:
        with suppress(OSError):  # what stopped the write may stop this; `sweep` comes later
            temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there.

    Raises
    ------
    StorageError
        Where that may not be, or there is no room.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise StorageError(f"cannot make the folder {folder}: {why}") from error


def _is_of_storage(error: OSError, *paths: Path) -> bool:
    """Whether writing failed, not something else in the block."""
    if error.errno in _FULL:
        return True
    places = {str(place) for path in paths for place in (path, *path.parents)}
    named = str(error.filename) in places or str(paths[0]) in str(error)
    return named and error.errno in {errno.EACCES, errno.EPERM, errno.EIO}


@contextmanager
def names_together() -> Iterator[None]:
    """Names of files that the block writes are put on the disk at its end, folder by folder.

    Each by itself costs a write of the disk's journal. Nothing may be written in the block that
    must not be seen before another file of it. An error leaves the names to the system: what they
    stand for has no receipt.
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
    """Put the names in a folder on the disk; without it a rename may come after later ones."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def write_bytes(target: Path, content: bytes, *, settle: bool = True) -> None:
    """Write a file that is whole or absent."""
    with atomic_path(target, settle=settle) as temporary:
        temporary.write_bytes(content)


def write_json(target: Path, value: Any, *, indent: int | None = 1, settle: bool = True) -> None:
    """Write JSON that is whole or absent, the same bytes for the same value.

    Without `indent` it is twenty times as fast: Python's own encoder alone lays lines out.
    """
    text = json.dumps(value, sort_keys=True, indent=indent, ensure_ascii=False, allow_nan=False)
    content = (text + "\n").encode("utf-8", "surrogatepass")  # names of odd files
    write_bytes(target, content, settle=settle)


def read_json(path: Path) -> Any:
    """The value of a JSON file of ours; None where there is none, or a broken disk left another."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return None


@dataclass(frozen=True)
class Receipt:
    """What one unit of work gave: output files by suffix, rows and rejects by name."""

    unit: str
    key: str
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    numerics: dict[str, Any] = field(default_factory=dict)
    """What its bytes may depend on besides the key: `numerics.fingerprint`."""

    def sha256(self, suffix: str) -> str:
        """The sha256 of the output with that suffix."""
        return str(self.outputs[suffix]["sha256"])

    @classmethod
    def of(cls, told: Any) -> Receipt | None:
        """The receipt that a JSON value is; None where it is none."""
        match told:
            case {"unit": str(unit), "key": str(key), "outputs": dict(outputs), "rows": dict(rows)}:
                is_sound = (
                    all(map(_is_output, outputs, outputs.values()))
                    and all(isinstance(of, list) for of in rows.values())
                    and all(isinstance(row, dict) for of in rows.values() for row in of)
                )
                made_with = told.get("numerics", {})
                is_sound = is_sound and isinstance(made_with, dict)
                return cls(unit, key, outputs, rows, made_with) if is_sound else None
        return None

    @property
    def is_retracted(self) -> bool:
        """Whether the unit was being redone when its process ended."""
        return self.key == _STALE

    @property
    def n_bytes(self) -> int:
        """The size of all outputs."""
        return sum(int(output["bytes"]) for output in self.outputs.values())


def _is_output(suffix: str, output: Any) -> bool:
    """Whether a receipt may name such an output: a file beside it, with digest and size."""
    match output:
        case {"sha256": str(), "bytes": int()}:
            return suffix.startswith(".") and "/" not in suffix and "\0" not in suffix
    return False


class ItemStore:
    """The units of one stage on disk: `<folder>/<unit><suffix>` and a receipt each.

    With `outputs` the files lie there and the receipts alone in `folder`: what is published carries
    no bookkeeping.
    """

    def __init__(self, folder: Path, outputs: Path | None = None) -> None:
        self.folder = folder
        self.outputs = folder if outputs is None else outputs

    def path(self, unit: str, suffix: str) -> Path:
        """Where the output of a unit with that suffix lies."""
        return (self.folder if suffix == RECEIPT else self.outputs) / f"{unit}{suffix}"

    def receipt(self, unit: str) -> Receipt | None:
        """The receipt of a unit whose outputs are all there and of the size written, else None."""
        receipt = Receipt.of(read_json(self.path(unit, RECEIPT)))
        for suffix, output in receipt.outputs.items() if receipt else ():
            path = self.path(unit, suffix)
            if not path.is_file() or path.stat().st_size != output["bytes"]:
                return None
        return receipt

    def current(self, unit: str, key: str) -> Receipt | None:
        """The receipt of a unit that need not be redone."""
        receipt = self.receipt(unit)
        return receipt if receipt is not None and receipt.key == key else None

    def size(self, receipt: Receipt) -> int:
        """Bytes of a unit's outputs and its receipt."""
        return receipt.n_bytes + self.path(receipt.unit, RECEIPT).stat().st_size

    def retract(self, unit: str) -> None:
        """Say of a unit that it is being redone: until `commit`, no key fits its receipt.

        An output of the new key may lie beside the receipt of the old one when a process is killed
        between the two, and may even have its size.
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
        """Write the receipt of a unit whose outputs are written; older outputs of it go.

        The receipt's name may reach the disk later: until it does, the unit is not done.
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
        found = self.folder.rglob(f"*{RECEIPT}") if self.folder.is_dir() else ()
        whole = (p for p in found if not p.name.startswith(_TEMPORARY))
        return {p.relative_to(self.folder).as_posix().removesuffix(RECEIPT) for p in whole}

    def prune(self, planned: Iterable[str]) -> list[str]:
        """Remove what has lost its input; the units removed, sorted."""
        gone = sorted(self.units() - set(planned))
        for unit in gone:
            self.remove(unit)
        return gone

    def remove(self, unit: str) -> list[Path]:
        """Remove a unit, its receipt first; the files that were there."""
        receipt = Receipt.of(read_json(self.path(unit, RECEIPT)))
        suffixes = receipt.outputs if receipt else ()  # `sweep` takes what no receipt names
        paths = [path for s in (RECEIPT, *suffixes) if (path := self.path(unit, s)).is_file()]
        for path in paths:
            path.unlink(missing_ok=True)
        return paths

    def sweep(self, known: Mapping[str, Receipt] | None = None) -> None:
        """Remove what no receipt names: outputs and temporary files of killed processes.

        Folders that became empty go, too. Only for one who works alone on the stage.

        Parameters
        ----------
        known
            All units' receipts, if they have been read already.
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
    """Remove what killed processes left half-written, but for what lies in some of its folders.

    Only for one who works alone there.
    """
    for place in folder.iterdir():
        if place.name.startswith(_TEMPORARY):
            place.unlink(missing_ok=True)
        elif place.is_dir() and place not in without:
            for path in sorted(place.rglob(f"{_TEMPORARY}*")):
                path.unlink(missing_ok=True)


def _is_remembered(row: Any) -> bool:
    """Whether it is size, two times and a hash."""
    match row:
        case [int(), int(), int(), str()]:
            return True
    return False


class FileHashes:
    """Hashes of source files, remembered by path, size and times of change.

    A corpus of 400 GB is read once; the memory is local (never an output) and may be deleted. The
    time of the inode's change counts, too: the time of writing can be set, and a clock set back may
    give it twice. What is remembered serves only where both are what they were, never "older than".
    """

    def __init__(self, memory: Path) -> None:
        self.memory = memory
        told = read_json(memory)  # a memory that cannot be read is none
        self._known: dict[str, list[Any]] = (
            {name: row for name, row in told.items() if _is_remembered(row)}
            if isinstance(told, dict)
            else {}
        )
        self._changed = False

    def sha256(self, path: Path, start: int = 0, length: int | None = None) -> str:
        """Sha256 of a file, or of `length` bytes of it from `start` (a member of a tar)."""
        stamp = self._stamp(path)
        name = f"{path}:{start}:{length}"
        known = self._known.get(name)
        if known is not None and known[:-1] == stamp:
            return str(known[-1])
        value = self._read(path, start, stamp[0] - start if length is None else length)
        if self._stamp(path) == stamp:  # else it is being written: read it again next time
            self._known[name] = [*stamp, value]
            self._changed = True
        return value

    def known(self, path: Path, start: int = 0, length: int | None = None) -> str | None:
        """What is remembered of a file that has not changed since, else None; reads nothing."""
        known = self._known.get(f"{path}:{start}:{length}")
        return str(known[-1]) if known is not None and known[:-1] == self._stamp(path) else None

    @staticmethod
    def _stamp(path: Path) -> list[int]:
        stat = path.stat()
        return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]

    def forget(self, is_meant: Callable[[str], bool]) -> int:
        """Drop what is remembered of files by their names; how many there were."""
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
        """Keep what was learnt for the next run."""
        if self._changed:
            write_json(self.memory, self._known)
            self._changed = False
