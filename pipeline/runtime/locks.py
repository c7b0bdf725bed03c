"""One run at a time on what it writes, any number on what they only read.

A lock is a record lock of the kernel (POSIX, fcntl) on one byte a stage of `.local/lock`: nothing
has to be cleaned up after a process that was killed, on this machine or on another that shares the
folder by NFS (version 4 carries such locks itself, version 3 by lockd). No clock is read. Workers
hold a byte of their own, shared: while one of a killed run still ends, no other run begins.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import BusyError, ParameterError, StorageError
from pipeline.runtime.store import read_json
from pipeline.stages import READS, STAGES

_PARTS = 4096
_OWN, _COUNTS, _WORKERS, _SPAN = 0, _PARTS, 2 * _PARTS, 3 * _PARTS
"""Bytes of a stage: one a part, one a number of parts, one a part for its workers."""
_PATIENCE_S = 10.0
"""How long a run waits for another that is about to end: workers of a killed one."""
_TAKEN = {errno.EACCES, errno.EAGAIN}
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
_held: dict[Path, _Lock] = {}


class _Lock:
    """The lock file of one dataset, open once in a process: closing it would free all its locks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            why = os.strerror(error.errno or 0)
            raise StorageError(f"cannot write {path}: {why}; nothing was done") from error
        self.taken: list[tuple[int, int]] = []

    def take(self, how: int, start: int, length: int) -> bool:
        """Whether the lock was free; it is ours then."""
        try:
            fcntl.lockf(self.descriptor, how | fcntl.LOCK_NB, length, start)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        self.taken.append((start, length))
        return True

    def is_free(self, start: int, length: int) -> bool:
        """Whether nobody holds anything there."""
        if length == 0:
            return True
        free = self.take(fcntl.LOCK_EX, start, length)
        if free:
            self.taken.pop()
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, length, start)
        return free

    def free(self) -> None:
        """Give back all that was taken."""
        for start, length in self.taken:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, length, start)
        self.taken.clear()

    def close(self) -> None:
        os.close(self.descriptor)


@dataclass(frozen=True)
class Claim:
    """What a run is about to do: write some stages, read others; `part` is (i, n) of `--shard`."""

    writes: tuple[str, ...]
    reads: tuple[str, ...] = ()
    part: tuple[int, int] = (1, 1)

    @classmethod
    def of(cls, stage: str, part: tuple[int, int] = (1, 1)) -> Claim:
        """What a stage's run claims."""
        return cls((stage,), READS[stage], part)

    def __post_init__(self) -> None:
        if self.part[1] >= _PARTS:
            raise ParameterError(
                f"--shard {self.part[0]}/{self.part[1]}: at most {_PARTS - 1} parts"
            )


def lock_file(folder: Path) -> Path:
    """Where the lock of a dataset's folder lies."""
    return folder / ".local" / "lock"


@contextmanager
def hold(
    folder: Path, claim: Claim, *, say: Callable[[str], None], patience_s: float = _PATIENCE_S
) -> Iterator[None]:
    """Hold what a run needs of a dataset's folder, or refuse in one line.

    A file system without locks is told of by `say`, and the run goes on.

    Raises
    ------
    BusyError
        Where another run holds it for longer than `patience_s`.
    StorageError
        Where the folder cannot be written.
    """
    path = lock_file(folder).resolve()
    if path in _held:
        raise BusyError(f"this process works on {folder} already")
    lock = _Lock(path)
    _held[path] = lock
    try:
        _take_all(lock, claim, say, patience_s)
        yield
    finally:
        with suppress(OSError):
            lock.free()
        lock.close()
        del _held[path]


def _take_all(lock: _Lock, claim: Claim, say: Callable[[str], None], patience_s: float) -> None:
    left = patience_s
    while True:
        try:
            stage = _blocked_at(lock, claim)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            say(
                f"the file system of {lock.path.parent} knows no locks "
                f"({os.strerror(error.errno)}): see to it that no other run works there"
            )
            return
        if stage is None:
            _sign(lock.path, claim)
            return
        lock.free()
        if left <= 0:
            raise BusyError(_refusal(lock.path, stage))
        time.sleep(0.25)
        left -= 0.25


def _blocked_at(lock: _Lock, claim: Claim) -> str | None:
    """Take everything; the stage at which another run stands in the way, None where none does."""
    for stage in claim.writes:
        if not _take_part(lock, _offset(stage), claim.part):
            return stage
    for stage in claim.reads:
        start = _offset(stage)
        if not lock.take(fcntl.LOCK_SH, start, _WORKERS) or not lock.is_free(
            start + _WORKERS, _PARTS
        ):
            return stage
    return None


def _take_part(lock: _Lock, start: int, part: tuple[int, int]) -> bool:
    """Whether a stage, or one part of n, is ours, and no worker of a killed run is at it."""
    i, n = part
    workers = start + _WORKERS
    if n == 1:
        return lock.take(fcntl.LOCK_EX, start, _WORKERS) and lock.is_free(workers, _PARTS)
    counts = start + _COUNTS
    return (
        lock.take(fcntl.LOCK_EX, start + _OWN + i, 1)
        and lock.take(fcntl.LOCK_SH, counts + n, 1)
        and lock.is_free(counts, n)  # parts of another number would overlap ours
        and lock.is_free(counts + n + 1, _PARTS - n - 1)
        and lock.is_free(workers + i, 1)
    )


def _offset(stage: str) -> int:
    return STAGES.index(stage) * _SPAN


def _refusal(path: Path, stage: str) -> str:
    who = _signature(path, stage)
    return (
        f"another run works on {stage} of {path.parent.parent.name}{who}; wait for its end, or "
        "stop it: the same command goes on from there"
    )


def _signed(path: Path, stage: str) -> Path:
    return path.with_name(f"{stage}.run")


def _sign(path: Path, claim: Claim) -> None:
    """Leave who works, for the other's message alone: what counts is the lock."""
    who = {"host": socket.gethostname(), "process": os.getpid()}
    for stage in claim.writes:
        with suppress(OSError):
            _signed(path, stage).write_text(json.dumps(who), encoding="utf-8")


def _signature(path: Path, stage: str) -> str:
    try:
        who = read_json(_signed(path, stage))
    except OSError:
        return ""
    match who:
        case {"process": int(process), "host": str(host)}:
            return f" (lately process {process} on {host[:255]})"
    return ""


@dataclass(frozen=True)
class Working:
    """The setup of a worker that holds its part of its stage until its process ends."""

    folder: Path
    stage: str
    part: tuple[int, int]
    setup: Callable[[], Any]

    def __call__(self) -> Any:
        """Take the byte, then do the stage's own setup."""
        path = lock_file(self.folder).resolve()
        if path not in _held and path.is_file():  # in the run's own process the run holds it
            lock = _held[path] = _Lock(path)
            i, n = self.part
            start = _offset(self.stage) + _WORKERS
            with suppress(OSError):  # a file system without locks: the run has told
                lock.take(fcntl.LOCK_SH, *((start, _PARTS) if n == 1 else (start + i, 1)))
        return self.setup()
