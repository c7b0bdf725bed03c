"""Actors of a Ray cluster: the same functions on many machines.

Ray's own restarts and retries are disabled, so that an item that kills its worker is counted as it
is on processes. Answers are pickled by our worker, not by Ray.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.runtime import numerics
from pipeline.runtime.executor.ray_cluster import the_ray
from pipeline.runtime.executor.worker import (
    TRIES,
    Died,
    Limits,
    TimedOut,
    answer,
    keep_freed_memory,
    read,
)

_POLL_S = 1.0


class Actor:
    """One worker process on some node."""

    def __init__(self, functions: bytes, folder: str, mode: numerics.Mode) -> None:
        self._functions, self._folder = functions, folder
        numerics.assign(mode)  # before `functions` imports libraries
        keep_freed_memory()

    def prepare(self) -> bytes:
        """Set up the state; the answer holds the exception, if any."""
        return answer(self._prepare)

    def _prepare(self) -> None:
        if not Path(self._folder).is_dir():
            raise PipelineError(
                f"node {os.uname().nodename} has no folder {self._folder}: --engine ray needs the "
                "project's folder at the same path on every node (a shared file system)"
            )
        os.chdir(self._folder)  # relative paths are those of the run
        self._fn, setup = pickle.loads(self._functions)
        self._state = setup()

    def work(self, item: bytes) -> bytes:
        """The answer for one item."""
        return answer(lambda: self._fn(self._state, pickle.loads(item)))


@dataclass
class _Worker:
    """An actor, its pending answer, and the item; key None: its setup."""

    actor: Any
    answer: Any
    key: str | None = None
    since_s: float = 0.0


@dataclass
class WorkerPool:
    """The actors of one round; a round gives each item to an actor once."""

    fn: Callable[[Any, Any], Any]
    setup: Callable[[], Any]
    limits: Limits
    gpus: float = 0.0
    _workers: list[_Worker] = field(default_factory=list)
    _failed_starts: int = 0
    _width: int = 1

    def round(self, items: Mapping[str, Any], width: int) -> Iterator[tuple[str, Any]]:
        """Give each item to one of `width` actors; yield (key, outcome) as they finish."""
        todo = iter(items.items())
        left = len(items)
        self._width = width
        start = self._starter()
        try:
            while left:
                while len(self._workers) < min(width, left):
                    actor = start()
                    self._workers.append(_Worker(actor, actor.prepare.remote()))
                for key, outcome in self._outcomes(todo):
                    left -= 1
                    yield key, outcome
        finally:
            for worker in list(self._workers):
                self._dismiss(worker)

    def _starter(self) -> Callable[[], Any]:
        kind = the_ray().remote(Actor).options(
            num_cpus=1, num_gpus=self.gpus, max_restarts=0, max_task_retries=0
        )  # fmt: skip
        functions = pickle.dumps((self.fn, self.setup))
        return lambda: kind.remote(functions, os.getcwd(), numerics.assigned())

    def _outcomes(self, todo: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        """Wait until actors answer, die or exceed the limit; yield their items' outcomes."""
        waiting = {w.answer: w for w in self._workers if w.answer is not None}
        answered, _ = the_ray().wait(list(waiting), timeout=_POLL_S)
        for reference in answered:
            worker = waiting[reference]
            key, outcome = worker.key, self._received(reference)
            if isinstance(outcome, Died):
                self._dismiss(worker)
                self._count_failed_start(key)
            else:
                self._failed_starts = 0
                self._give(worker, next(todo, None))
            if key is not None:
                yield key, outcome
        yield from self._timed_out()

    def _received(self, reference: Any) -> Any:
        ray = the_ray()
        try:
            return read(ray.get(reference))
        except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError):
            return Died(1)

    def _count_failed_start(self, key: str | None) -> None:
        self._failed_starts += key is None
        if self._failed_starts >= TRIES * self._width:  # a lost node takes many workers with it
            raise PipelineError(
                f"{self._failed_starts} Ray workers in a row crashed on startup: check that every "
                "node has this environment and enough memory"
            )

    def _give(self, worker: _Worker, entry: tuple[str, Any] | None) -> None:
        if entry is None:  # others can use its core
            self._dismiss(worker)
            return
        worker.key, worker.since_s = entry[0], time.monotonic()
        worker.answer = worker.actor.work.remote(pickle.dumps(entry[1]))

    def _timed_out(self) -> Iterator[tuple[str, Any]]:
        limit_s = self.limits.item_s
        for worker in list(self._workers) if limit_s is not None else ():
            if worker.key is not None and time.monotonic() - worker.since_s > (limit_s or 0.0):
                self._dismiss(worker)
                yield worker.key, TimedOut(1, limit_s or 0.0)

    def _dismiss(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        the_ray().kill(worker.actor, no_restart=True)
