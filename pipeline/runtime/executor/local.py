"""Spawned processes of this machine, one item each at a time.

`concurrent.futures` gives up the whole pool when one process dies and cannot say which item did
it, nor end one that hangs; here each process has a pipe of its own, so that who died, and on what,
is known exactly. Processes are spawned, since mediapipe, torch and OpenCV do not survive a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.runtime import numerics
from pipeline.runtime.executor.outcomes import TRIES, Died, Limits, MemoryExceeded, TimedOut
from pipeline.runtime.executor.worker import read, serve

_LOOK_EVERY_S = 0.2
"""How often the memory of workers is looked at."""


@dataclass
class _Worker:
    """A process, our end of its pipe, and what it holds: an item since when, or its setup."""

    process: SpawnProcess
    pipe: Connection
    devices: str | None
    key: str | None = None
    since_s: float = 0.0
    ready: bool = False

    def give(self, key: str, item: Any) -> None:
        self.key, self.since_s = key, time.monotonic()
        # It may have died idle: then reading its pipe tells so, and the item counts as tried.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send_bytes(pickle.dumps(item))

    def receive(self) -> Any:
        """What it answered; `Died` when it died instead."""
        try:
            return read(self.pipe.recv_bytes())
        except (EOFError, ConnectionResetError):
            return Died(1)

    def end(self) -> None:
        """Kill it: what it writes is whole or absent."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


@dataclass
class WorkerPool:
    """The workers of one round; a round gives every item once.

    Parameters
    ----------
    devices
        What CUDA_VISIBLE_DEVICES is for each worker, as many as there may be workers; empty: it is
        left as it is.
    """

    fn: Callable[[Any, Any], Any]
    setup: Callable[[], Any]
    limits: Limits
    devices: Sequence[str] = ()
    _workers: list[_Worker] = field(default_factory=list)
    _stillborn: int = 0

    def round(self, items: Mapping[str, Any], width: int) -> Iterator[tuple[str, Any]]:
        """Give every item to one of `width` workers; yield (key, outcome) as they come."""
        todo = iter(items.items())
        left = len(items)
        try:
            while left:
                self._man(min(width, left))
                self._hand_out(todo)
                for key, outcome in self._look():
                    left -= 1
                    yield key, outcome
        finally:
            for worker in self._workers:
                worker.end()
            self._workers.clear()

    def _man(self, width: int) -> None:
        while len(self._workers) < width:
            self._workers.append(self._start())

    def _start(self) -> _Worker:
        numerics.assign(numerics.assigned())  # whatever was set since, here or by a library
        taken = [worker.devices for worker in self._workers]
        free = list(self.devices)
        for devices in taken:
            if devices is not None:
                free.remove(devices)
        devices = free[0] if free else None
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self.fn, self.setup), daemon=True)
        with _seeing(devices):
            process.start()
        theirs.close()
        return _Worker(process, ours, devices)

    def _hand_out(self, todo: Iterator[tuple[str, Any]]) -> None:
        for worker in self._workers:
            if worker.ready and worker.key is None:
                entry = next(todo, None)
                if entry is None:
                    return
                worker.give(*entry)

    def _look(self) -> Iterator[tuple[str, Any]]:
        """Wait until a worker answers, dies or exceeds a limit; the outcomes of their items."""
        pipes = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(pipes), self._patience_s()):
            worker = pipes[pipe]  # type: ignore[index]  # our own pipes, nothing else
            outcome = worker.receive()
            if not worker.ready:
                self._begun(worker, outcome)
                continue
            key, worker.key = worker.key, None
            if isinstance(outcome, Died):
                self._dismiss(worker)
            if key is not None:
                yield key, outcome
        for worker in list(self._workers):
            beyond = self._beyond(worker)
            if beyond is not None and worker.key is not None:
                self._dismiss(worker)
                yield worker.key, beyond

    def _begun(self, worker: _Worker, outcome: Any) -> None:
        worker.ready = not isinstance(outcome, Died)
        if worker.ready:
            self._stillborn = 0
            return
        self._dismiss(worker)
        self._stillborn += 1
        if self._stillborn >= TRIES:
            raise PipelineError(
                f"workers die while they start, {TRIES} in a row (exit code "
                f"{worker.process.exitcode}): is there memory for them? Try fewer with --workers"
            )

    def _dismiss(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.end()

    def _patience_s(self) -> float | None:
        if self.limits.worker_gb is not None:
            return _LOOK_EVERY_S
        if self.limits.item_s is None:
            return None
        busy = [worker.since_s for worker in self._workers if worker.key is not None]
        if not busy:
            return None
        return max(0.0, min(busy) + self.limits.item_s - time.monotonic()) + 0.01

    def _beyond(self, worker: _Worker) -> Died | None:
        if worker.key is None:
            return None
        item_s, worker_gb = self.limits.item_s, self.limits.worker_gb
        if item_s is not None and time.monotonic() - worker.since_s > item_s:
            return TimedOut(1, item_s)
        if worker_gb is not None and _resident_bytes(worker.process.pid) > worker_gb * 1e9:
            return MemoryExceeded(1, worker_gb)
        return None


def _resident_bytes(process: int | None) -> int:
    """Resident memory of a process, 0 where it has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def _seeing(devices: str | None) -> Iterator[None]:
    """For the block, children see these GPUs alone; None: what this process sees."""
    if devices is None:
        yield
        return
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = devices
    try:
        yield
    finally:
        if before is None:
            del os.environ["CUDA_VISIBLE_DEVICES"]
        else:
            os.environ["CUDA_VISIBLE_DEVICES"] = before
