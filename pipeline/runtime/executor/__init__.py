"""Run a function over items: in this process, on processes of this machine, or on Ray.

If a worker dies, its item is given to another one; an item that kills its worker each time ends as
`Died`. An item that exceeds a limit is stopped. Neither the engine, the number of workers nor the
order of arrival changes a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol, TypeVar

from pipeline.runtime.executor.local import WorkerPool
from pipeline.runtime.executor.worker import (
    TRIES,
    Died,
    InvalidResult,
    Limits,
    MemoryExceeded,
    TimedOut,
)

__all__ = [
    "ENGINES",
    "Died",
    "EngineName",
    "InvalidResult",
    "Limits",
    "MemoryExceeded",
    "TimedOut",
    "run",
]

Item = TypeVar("Item")
Result = TypeVar("Result")
EngineName = Literal["serial", "processes", "ray"]
ENGINES: tuple[EngineName, ...] = ("serial", "processes", "ray")
_NO_LIMITS = Limits()


class _Pool(Protocol):
    def round(self, items: Mapping[str, Any], width: int) -> Iterator[tuple[str, Any]]:
        """Give each item to a worker once."""


def run(
    fn: Callable[[Any, Item], Result],
    items: Mapping[str, Item],
    *,
    setup: Callable[[], Any],
    engine: EngineName,
    workers: int,
    limits: Limits = _NO_LIMITS,
    devices: Sequence[str] = (),
    gpus: float = 0.0,
) -> Iterator[tuple[str, Result | Died]]:
    """Apply `fn(state, item)` to every item and yield (key, outcome) in order of completion.

    Parameters
    ----------
    fn, setup
        Importable functions. Each worker calls `setup` once; it returns the worker's state.
    engine
        `serial`: in this process, without isolation or limits, and on one thread like every worker,
        because sums over more threads are rounded differently. `processes`: on `workers` spawned
        processes. `ray`: on actors of a Ray cluster; 0 workers uses all its cores.
    limits
        Time and memory that one item may take.
    devices
        For `processes`: the CUDA_VISIBLE_DEVICES of each worker.
    gpus
        For `ray`: GPUs per worker.

    Raises
    ------
    Exception
        Whatever `fn` or `setup` raises. An item that cannot be used must return its reason instead.
    MissingExtraError
        `ray` is not installed.
    PipelineError
        Workers die before their first item.
    """
    if not items:
        return  # `setup` may load large models
    if engine == "serial":
        from threadpoolctl import ThreadpoolController

        state = setup()
        thread_pools = ThreadpoolController()  # of the libraries that `setup` has loaded
        for key, item in items.items():
            with thread_pools.limit(limits=1):
                outcome = fn(state, item)
            yield key, outcome
        return
    if engine == "ray":
        from pipeline.runtime.executor import on_ray, ray_cluster

        with ray_cluster.cluster() as cluster:
            pool = on_ray.WorkerPool(fn, setup, limits, gpus)
            yield from _with_retries(pool, dict(items), workers or cluster.room(gpus))
        return
    yield from _with_retries(WorkerPool(fn, setup, limits, devices), dict(items), workers)


def _with_retries(pool: _Pool, items: dict[str, Any], workers: int) -> Iterator[tuple[str, Any]]:
    """Repeat rounds until each item has an outcome.

    The last round runs items one at a time, in case several at once were too much for the machine.
    """
    for tries in range(1, TRIES + 1):
        alone = tries == TRIES > 1
        failed: dict[str, Any] = {}
        for key, outcome in pool.round(items, 1 if alone else workers):
            if type(outcome) in (Died, InvalidResult) and tries < TRIES:
                failed[key] = items[key]
            else:
                yield key, replace(outcome, tries=tries) if isinstance(outcome, Died) else outcome
        if not failed:
            return
        items = failed
