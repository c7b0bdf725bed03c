"""Where work runs: `run(fn, items)` serially or on processes of this machine, with one outcome.

Processes are spawned, since mediapipe, torch and OpenCV do not survive a fork. A worker that dies
takes nothing along: what it held is given to others, and an item that kills its worker each time
ends as `Died`, not as a loop.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
EngineName = Literal["serial", "processes"]
ENGINES: tuple[EngineName, ...] = ("serial", "processes")
_THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
_RETRIES = 2
_QUEUED_PER_WORKER = 4


@dataclass(frozen=True)
class Died:
    """The outcome of an item whose worker died each time it was tried."""

    tries: int


def run(
    fn: Callable[[Any, Item], Result],
    items: Mapping[str, Item],
    *,
    setup: Callable[[], Any],
    engine: EngineName,
    workers: int,
) -> Iterator[tuple[str, Result | Died]]:
    """Apply `fn(state, item)` to every item and yield (key, outcome) as they come.

    Parameters
    ----------
    fn, setup
        Importable functions; `setup` is called once a worker and gives its state.
    engine
        `serial` in this process, `processes` on `workers` spawned ones.

    Raises
    ------
    Exception
        What `fn` raises is raised here: an item that cannot be used must return its reason.
    """
    if not items:
        return  # what `setup` loads may be large
    if engine == "serial" or workers == 1 or len(items) == 1:
        state = setup()
        for key, item in items.items():
            yield key, fn(state, item)
        return
    yield from _processes(fn, dict(items), setup, workers)


def _processes(
    fn: Callable[[Any, Item], Result],
    items: dict[str, Item],
    setup: Callable[[], Any],
    workers: int,
) -> Iterator[tuple[str, Result | Died]]:
    suspects: dict[str, Item] = {}
    while items:
        width = min(workers, len(items))
        with _pool(setup, width) as pool:
            for key, outcome in _drain(pool, fn, items, width):
                if isinstance(outcome, BrokenProcessPool):
                    suspects[key] = items.pop(key)
                else:
                    del items[key]
                    yield key, outcome
    for key, item in suspects.items():
        yield key, _alone(fn, item, setup)


def _alone(
    fn: Callable[[Any, Item], Result], item: Item, setup: Callable[[], Any]
) -> Result | Died:
    """One item in a pool of its own: a broken pool cannot say which item broke it."""
    for _ in range(_RETRIES):
        with _pool(setup, 1) as pool:
            try:
                return pool.submit(_call, fn, item).result()
            except BrokenProcessPool:
                continue
    return Died(_RETRIES + 1)


def _drain(
    pool: ProcessPoolExecutor,
    fn: Callable[[Any, Item], Result],
    items: dict[str, Item],
    workers: int,
) -> Iterator[tuple[str, Result | BrokenProcessPool]]:
    """Yield outcomes; when the pool breaks, yield the items in flight as suspects and stop."""
    todo = iter(list(items.items()))
    running: dict[Future[Result], str] = {}
    broken: BrokenProcessPool | None = None
    while True:
        while broken is None and len(running) < workers * _QUEUED_PER_WORKER:
            entry = next(todo, None)
            if entry is None:
                break
            try:
                running[pool.submit(_call, fn, entry[1])] = entry[0]
            except BrokenProcessPool as error:
                broken = error
        if not running:
            return
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in sorted(finished, key=lambda f: running[f]):
            key = running.pop(future)
            failure = future.exception()
            if isinstance(failure, BrokenProcessPool):
                broken = failure
                yield key, failure
            elif failure is not None:
                raise failure
            else:
                yield key, future.result()


@contextmanager
def _pool(setup: Callable[[], Any], workers: int) -> Iterator[ProcessPoolExecutor]:
    """Spawned workers for the block; when it ends by an error or Ctrl-C, they end at once."""
    context = multiprocessing.get_context("spawn")
    for name in _THREAD_SETTINGS:
        os.environ.setdefault(name, "1")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_init, initargs=(setup,))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown()


_state: Any = None


def _init(setup: Callable[[], Any]) -> None:
    global _state
    # Ctrl-C reaches the whole group: the parent decides, and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _state = setup()


def _end_with_parent() -> None:
    """A worker whose parent was killed has nobody to work for; its files are whole or absent."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(fn: Callable[[Any, Item], Result], item: Item) -> Result:
    return fn(_state, item)
