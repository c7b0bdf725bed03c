"""Spawned processes of this machine, each working on one item at a time.

`concurrent.futures` breaks the whole pool if one process dies, cannot say which item it was on, and
cannot stop one that hangs. Here each process has its own pipe, so the item is known. Processes are
spawned because mediapipe, torch and OpenCV do not survive a fork.
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

from pipeline.errors import ParameterError, PipelineError
from pipeline.runtime import numerics
from pipeline.runtime.executor.worker import (
    TRIES,
    Died,
    Limits,
    MemoryExceeded,
    TimedOut,
    read,
    serve,
)


def visible() -> list[str]:
    """The GPUs that this process may use, named as in CUDA_VISIBLE_DEVICES."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    import torch

    return [str(n) for n in range(torch.cuda.device_count())]


def share(devices: Sequence[str], per_worker: float) -> list[str]:
    """CUDA_VISIBLE_DEVICES of each worker, for as many workers as the devices have room for.

    Parameters
    ----------
    per_worker
        A whole number of devices, or a fraction of one: 0.5 puts two workers on each.

    Raises
    ------
    ParameterError
        There are too few devices for one worker.

    Examples
    --------
    >>> share(["0", "1"], 0.5)
    ['0', '1', '0', '1']
    """
    if per_worker < 1:
        return [*devices] * int(1 / per_worker)
    each = int(per_worker)
    if len(devices) < each:
        raise ParameterError(
            f"--gpus-per-worker {per_worker:g}: this process sees {len(devices)} GPUs"
        )
    return [",".join(devices[k : k + each]) for k in range(0, len(devices) - each + 1, each)]


_MEMORY_CHECK_S = 0.2
"""How often the workers' memory is checked."""


@dataclass
class _Worker:
    """A process, our end of its pipe, and its current item with the time it was given."""

    process: SpawnProcess
    pipe: Connection
    devices: str | None
    key: str | None = None
    since_s: float = 0.0
    ready: bool = False

    def give(self, key: str, item: Any) -> None:
        self.key, self.since_s = key, time.monotonic()
        # If it died while idle, reading its pipe says so, and the item counts as tried.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send_bytes(pickle.dumps(item))

    def receive(self) -> Any:
        """Its answer, or `Died`."""
        try:
            return read(self.pipe.recv_bytes())
        except (EOFError, ConnectionResetError):
            return Died(1)

    def end(self) -> None:
        """Kill it; files that it writes are complete or absent."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


@dataclass
class WorkerPool:
    """The workers of one round; a round gives each item to a worker once.

    Parameters
    ----------
    devices
        CUDA_VISIBLE_DEVICES for each worker, at least one entry per worker; empty: unchanged.
    """

    fn: Callable[[Any, Any], Any]
    setup: Callable[[], Any]
    limits: Limits
    devices: Sequence[str] = ()
    _workers: list[_Worker] = field(default_factory=list)
    _failed_starts: int = 0

    def round(self, items: Mapping[str, Any], width: int) -> Iterator[tuple[str, Any]]:
        """Give each item to one of `width` workers; yield (key, outcome) as they finish."""
        todo = iter(items.items())
        left = len(items)
        try:
            while left:
                self._start_up_to(min(width, left))
                self._hand_out(todo)
                for key, outcome in self._outcomes():
                    left -= 1
                    yield key, outcome
        finally:
            for worker in self._workers:
                worker.end()
            self._workers.clear()

    def _start_up_to(self, width: int) -> None:
        while len(self._workers) < width:
            self._workers.append(self._start())

    def _start(self) -> _Worker:
        numerics.assign(numerics.assigned())  # the program or a library may have changed them
        taken = [worker.devices for worker in self._workers]
        free = list(self.devices)
        for devices in taken:
            if devices is not None:
                free.remove(devices)
        devices = free[0] if free else None
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self.fn, self.setup), daemon=True)
        with _visible_devices(devices):
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

    def _outcomes(self) -> Iterator[tuple[str, Any]]:
        """Wait until workers answer, die or exceed a limit; yield their items' outcomes."""
        pipes = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(pipes), self._timeout_s()):
            worker = pipes[pipe]  # type: ignore[index]  # only our own pipes
            outcome = worker.receive()
            if not worker.ready:
                self._started(worker, outcome)
                continue
            key, worker.key = worker.key, None
            if isinstance(outcome, Died):
                self._dismiss(worker)
            if key is not None:
                yield key, outcome
        for worker in list(self._workers):
            exceeded = self._exceeded(worker)
            if exceeded is not None and worker.key is not None:
                self._dismiss(worker)
                yield worker.key, exceeded

    def _started(self, worker: _Worker, outcome: Any) -> None:
        worker.ready = not isinstance(outcome, Died)
        if worker.ready:
            self._failed_starts = 0
            return
        self._dismiss(worker)
        self._failed_starts += 1
        if self._failed_starts >= TRIES:
            raise PipelineError(
                f"{TRIES} workers in a row crashed on startup (exit code "
                f"{worker.process.exitcode}), probably out of memory; lower --workers"
            )

    def _dismiss(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.end()

    def _timeout_s(self) -> float | None:
        if self.limits.worker_gb is not None:
            return _MEMORY_CHECK_S
        if self.limits.item_s is None:
            return None
        busy = [worker.since_s for worker in self._workers if worker.key is not None]
        if not busy:
            return None
        return max(0.0, min(busy) + self.limits.item_s - time.monotonic()) + 0.01

    def _exceeded(self, worker: _Worker) -> Died | None:
        if worker.key is None:
            return None
        item_s, worker_gb = self.limits.item_s, self.limits.worker_gb
        if item_s is not None and time.monotonic() - worker.since_s > item_s:
            return TimedOut(1, item_s)
        if worker_gb is not None and _resident_bytes(worker.process.pid) > worker_gb * 1e9:
            return MemoryExceeded(1, worker_gb)
        return None


def _resident_bytes(process: int | None) -> int:
    """Resident memory of a process; 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def _visible_devices(devices: str | None) -> Iterator[None]:
    """Let children started in the block see only these GPUs; None: those of this process."""
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
