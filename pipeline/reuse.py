"""What must be redone: keys, receipts, and files that are whole or absent.

A unit of work is done when its receipt stands beside its outputs and carries its key: a digest of
the input's bytes, the stage's parameters, its code version and its models. Receipts are written
last, by rename, so a process killed at any moment loses the units in flight and nothing else.
Plain files only: this holds on NFS.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECEIPT = ".receipt.json"
_TEMPORARY = ".tmp-"
_CHUNK_BYTES = 1 << 20


def digest(value: Any) -> str:
    """Hexadecimal sha256 of a value made of dicts, lists, strings, numbers, booleans and None."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path beside `target` that becomes it when the block ends well, else vanishes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f"{_TEMPORARY}{os.getpid()}-{target.name[-150:]}"
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(target: Path, content: bytes) -> None:
    """Write a file that is whole or absent."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def write_json(target: Path, value: Any) -> None:
    """Write JSON that is whole or absent, the same bytes for the same value."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(target, (text + "\n").encode())


@dataclass(frozen=True)
class Receipt:
    """What one unit of work gave: output files by suffix, rows and rejects by name."""

    unit: str
    key: str
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def sha256(self, suffix: str) -> str:
        """The sha256 of the output with that suffix."""
        return str(self.outputs[suffix]["sha256"])


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
        try:
            receipt = Receipt(**json.loads(self.path(unit, RECEIPT).read_bytes()))
        except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError, TypeError):
            return None
        for suffix, output in receipt.outputs.items():
            path = self.path(unit, suffix)
            if not path.is_file() or path.stat().st_size != output["bytes"]:
                return None
        return receipt

    def current(self, unit: str, key: str) -> Receipt | None:
        """The receipt of a unit that need not be redone."""
        receipt = self.receipt(unit)
        return receipt if receipt is not None and receipt.key == key else None

    def commit(self, unit: str, key: str, suffixes: Iterable[str], rows: dict[str, Any]) -> Receipt:
        """Write the receipt of a unit whose outputs are written; older outputs of it go."""
        outputs = {
            suffix: {"sha256": sha256_of(path), "bytes": path.stat().st_size}
            for suffix in sorted(suffixes)
            for path in [self.path(unit, suffix)]
        }
        receipt = Receipt(unit, key, outputs, rows)
        previous = self.receipt(unit)
        write_json(self.path(unit, RECEIPT), vars(receipt))
        for suffix in set(previous.outputs if previous else ()) - set(outputs):
            self.path(unit, suffix).unlink(missing_ok=True)
        return receipt

    def units(self) -> set[str]:
        """The units that have a receipt."""
        found = self.folder.rglob(f"*{RECEIPT}") if self.folder.is_dir() else ()
        return {p.relative_to(self.folder).as_posix().removesuffix(RECEIPT) for p in found}

    def prune(self, planned: Iterable[str]) -> list[str]:
        """Remove what has lost its input; the units removed, sorted."""
        gone = sorted(self.units() - set(planned))
        for unit in gone:
            receipt = self.path(unit, RECEIPT)
            suffixes = json.loads(receipt.read_bytes()).get("outputs", {})
            receipt.unlink()
            for suffix in suffixes:
                self.path(unit, suffix).unlink(missing_ok=True)
        return gone

    def sweep(self) -> None:
        """Remove the temporary files of killed processes and folders that became empty."""
        for folder in {self.folder, self.outputs}:
            for path in sorted(folder.rglob("*") if folder.is_dir() else (), reverse=True):
                if path.name.startswith(_TEMPORARY):
                    path.unlink(missing_ok=True)
                elif path.is_dir() and not any(path.iterdir()):
                    path.rmdir()


class FileHashes:
    """Hashes of source files, remembered by path, size and time of change.

    A corpus of 400 GB is read once; the memory is local (never an output) and may be deleted.
    """

    def __init__(self, memory: Path) -> None:
        self.memory = memory
        self._known: dict[str, list[Any]] = {}
        if memory.is_file():
            try:
                self._known = json.loads(memory.read_bytes())
            except json.JSONDecodeError:
                self._known = {}
        self._changed = False

    def sha256(self, path: Path, start: int = 0, length: int | None = None) -> str:
        """Sha256 of a file, or of `length` bytes of it from `start` (a member of a tar)."""
        stat = path.stat()
        name = f"{path}:{start}:{length}"
        stamp = [stat.st_size, stat.st_mtime_ns]
        known = self._known.get(name)
        if known is not None and known[:2] == stamp:
            return str(known[2])
        value = self._read(path, start, stat.st_size - start if length is None else length)
        self._known[name] = [*stamp, value]
        self._changed = True
        return value

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
