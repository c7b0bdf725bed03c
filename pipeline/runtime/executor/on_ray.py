"""Actors of a Ray cluster: the same functions on many machines, weights loaded once an actor.

What Ray would do by itself, restarting actors and trying tasks again, is switched off: then an item
that kills its worker is counted exactly as on processes. Answers are pickled by our worker, not by
Ray.
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
from pipeline.runtime.executor.outcomes import TRIES, Died, Limits, TimedOut
from pipeline.runtime.executor.ray_cluster import the_ray
from pipeline.runtime.executor.worker import answer, keep_freed_memory, read

_LOOK_EVERY_S = 1.0


class Actor:
    """One worker's process on some node."""

    def __init__(self, functions: bytes, folder: str, mode: numerics.Mode) -> None:
        self._functions, self._folder = functions, folder
        numerics.assign(mode)  # before what `functions` imports reads it
        keep_freed_memory()

    def prepare(self) -> bytes:
        """Bring the state up; the answer says what went wrong, if anything."""
        return answer(self._prepare)

    def _prepare(self) -> None:
        if not Path(self._folder).is_dir():
            raise PipelineError(
                f"node {os.uname().nodename} has no {self._folder}: with --engine ray, every node "
                "needs the run's folder at the same path (a shared file system)"
            )
        os.chdir(self._folder)  # relative paths mean the same as where the run was started
        self._fn, setup = pickle.loads(self._functions)
        self._state = setup()

    def work(self, item: bytes) -> bytes:
        """The answer for one item."""
        return answer(lambda: self._fn(self._state, pickle.loads(item)))


@dataclass
class _Worker:
    """An actor, the answer that we wait for, and the item it is about; None: its setup."""

    actor: Any
    answer: Any
    key: str | None = None
    since_s: float = 0.0


@dataclass
class WorkerPool:
    """The actors of one round; a round gives every item once. See `local.WorkerPool`."""

    fn: Callable[[Any, Any], Any]
    setup: Callable[[], Any]
    limits: Limits
    gpus: float = 0.0
    _workers: list[_Worker] = field(default_factory=list)
    _stillborn: int = 0
    _width: int = 1

    def round(self, items: Mapping[str, Any], width: int) -> Iterator[tuple[str, Any]]:
        """Give every item to one of `width` actors; yield (key, outcome) as they come."""
        todo = iter(items.items())
        left = len(items)
        self._width = width
        start = self._starter()
        try:
            while left:
                while len(self._workers) < min(width, left):
                    actor = start()
                    self._workers.append(_Worker(actor, actor.prepare.remote()))
                for key, outcome in self._look(todo):
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

    def _look(self, todo: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        """Wait until an actor answers, dies or exceeds the limit; the outcomes of their items."""
        waiting = {w.answer: w for w in self._workers if w.answer is not None}
        answered, _ = the_ray().wait(list(waiting), timeout=_LOOK_EVERY_S)
        for reference in answered:
            worker = waiting[reference]
            key, outcome = worker.key, self._received(reference)
            if isinstance(outcome, Died):
                self._dismiss(worker)
                self._count_stillborn(key)
            else:
                self._stillborn = 0
                self._give(worker, next(todo, None))
            if key is not None:
                yield key, outcome
        yield from self._overrun()

    def _received(self, reference: Any) -> Any:
        ray = the_ray()
        try:
            return read(ray.get(reference))
        except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError):
            return Died(1)

    def _count_stillborn(self, key: str | None) -> None:
        self._stillborn += key is None
        if self._stillborn >= TRIES * self._width:  # a node that goes takes many along at once
            raise PipelineError(
                f"Ray's workers die while they start, {self._stillborn} in a row: has every "
                "node this environment, and memory for it?"
            )

    def _give(self, worker: _Worker, entry: tuple[str, Any] | None) -> None:
        if entry is None:  # its core is of use to others
            self._dismiss(worker)
            return
        worker.key, worker.since_s = entry[0], time.monotonic()
        worker.answer = worker.actor.work.remote(pickle.dumps(entry[1]))

    def _overrun(self) -> Iterator[tuple[str, Any]]:
        limit_s = self.limits.item_s
        for worker in list(self._workers) if limit_s is not None else ():
            if worker.key is not None and time.monotonic() - worker.since_s > (limit_s or 0.0):
                self._dismiss(worker)
                yield worker.key, TimedOut(1, limit_s or 0.0)

    def _dismiss(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        the_ray().kill(worker.actor, no_restart=True)
