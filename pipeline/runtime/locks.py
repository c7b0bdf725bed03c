"""Locks on a dataset's stages: one run writes a stage, any number of runs read it.

A lock is a POSIX record lock (fcntl) on bytes of `.local/lock`. The kernel releases it when the
process ends, so nothing is left over after a kill, on this machine or on another that shares the
folder over NFS (version 4 supports such locks, version 3 with lockd). Workers hold a shared lock of
their own, so that no other run starts while workers of a killed run are still ending.
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
"""Each stage has one byte per part, one per number of parts, and one per part for workers."""
_PATIENCE_S = 10.0
"""How long a run waits for another one to end, such as workers of a killed run."""
_TAKEN = {errno.EACCES, errno.EAGAIN}
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
_held: dict[Path, _Lock] = {}


class _Lock:
    """The lock file of a dataset, opened once per process: closing it releases all its locks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            why = os.strerror(error.errno or 0)
            raise StorageError(f"cannot write {path}: {why}; nothing was changed") from error
        self.taken: list[tuple[int, int]] = []

    def take(self, how: int, start: int, length: int) -> bool:
        """Take a lock; False if another process holds it."""
        try:
            fcntl.lockf(self.descriptor, how | fcntl.LOCK_NB, length, start)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        self.taken.append((start, length))
        return True

    def is_free(self, start: int, length: int) -> bool:
        """Whether no other process holds a lock on these bytes."""
        if length == 0:
            return True
        free = self.take(fcntl.LOCK_EX, start, length)
        if free:
            self.taken.pop()
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, length, start)
        return free

    def free(self) -> None:
        """Release all locks taken."""
        for start, length in self.taken:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, length, start)
        self.taken.clear()

    def close(self) -> None:
        os.close(self.descriptor)


@dataclass(frozen=True)
class Claim:
    """The stages that a run writes and reads; `part` is (i, n) of `--shard`."""

    writes: tuple[str, ...]
    reads: tuple[str, ...] = ()
    part: tuple[int, int] = (1, 1)

    @classmethod
    def of(cls, stage: str, part: tuple[int, int] = (1, 1)) -> Claim:
        """The claim of one stage's run."""
        return cls((stage,), READS[stage], part)

    def __post_init__(self) -> None:
        if self.part[1] >= _PARTS:
            raise ParameterError(
                f"--shard {self.part[0]}/{self.part[1]}: at most {_PARTS - 1} parts"
            )


def lock_file(folder: Path) -> Path:
    """The lock file of a dataset's folder."""
    return folder / ".local" / "lock"


@contextmanager
def hold(
    folder: Path, claim: Claim, *, say: Callable[[str], None], patience_s: float = _PATIENCE_S
) -> Iterator[None]:
    """Lock the stages that a run needs, for the duration of the block.

    If the file system does not support locks, `say` reports it and the run continues.

    Raises
    ------
    BusyError
        Another run holds a lock for longer than `patience_s`.
    StorageError
        The folder cannot be written.
    """
    path = lock_file(folder).resolve()
    if path in _held:
        raise BusyError(f"this process is already working on {folder}")
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
                f"the file system of {lock.path.parent} does not support locks "
                f"({os.strerror(error.errno)}): make sure that no other run works there"
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
    """Take all locks of a claim; the stage that another run holds, or None."""
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
    """Lock a stage, or one part of n; False if another run or its workers hold it."""
    i, n = part
    workers = start + _WORKERS
    if n == 1:
        return lock.take(fcntl.LOCK_EX, start, _WORKERS) and lock.is_free(workers, _PARTS)
    counts = start + _COUNTS
    return (
        lock.take(fcntl.LOCK_EX, start + _OWN + i, 1)
        and lock.take(fcntl.LOCK_SH, counts + n, 1)
        and lock.is_free(counts, n)  # another number of parts would overlap ours
        and lock.is_free(counts + n + 1, _PARTS - n - 1)
        and lock.is_free(workers + i, 1)
    )


def _offset(stage: str) -> int:
    return STAGES.index(stage) * _SPAN


def _refusal(path: Path, stage: str) -> str:
    who = _signature(path, stage)
    return (
        f"another run is working on {stage} of {path.parent.parent.name}{who}; wait until it has "
        "ended, or stop it: the same command then continues where it stopped"
    )


def _signature_file(path: Path, stage: str) -> Path:
    return path.with_name(f"{stage}.run")


def _sign(path: Path, claim: Claim) -> None:
    """Record who is working, only for the other run's message; the lock decides."""
    who = {"host": socket.gethostname(), "process": os.getpid()}
    for stage in claim.writes:
        with suppress(OSError):
            _signature_file(path, stage).write_text(json.dumps(who), encoding="utf-8")


def _signature(path: Path, stage: str) -> str:
    try:
        who = read_json(_signature_file(path, stage))
    except OSError:
        return ""
    match who:
        case {"process": int(process), "host": str(host)}:
            return f" (last process {process} on {host[:255]})"
    return ""


@dataclass(frozen=True)
class Working:
    """The setup of a worker, which keeps a lock on its part of the stage until its process ends."""

    folder: Path
    stage: str
    part: tuple[int, int]
    setup: Callable[[], Any]

    def __call__(self) -> Any:
        """Take the lock, then run the stage's own setup."""
        path = lock_file(self.folder).resolve()
        if path not in _held and path.is_file():  # in the run's own process, the run holds it
            lock = _held[path] = _Lock(path)
            i, n = self.part
            start = _offset(self.stage) + _WORKERS
            with suppress(OSError):  # no support for locks: the run has reported it
                lock.take(fcntl.LOCK_SH, *((start, _PARTS) if n == 1 else (start + i, 1)))
        return self.setup()
