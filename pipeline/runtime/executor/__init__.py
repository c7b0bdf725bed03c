"""Where work runs: `run(fn, items)` here, on processes of this machine or on Ray; one outcome.

A worker that dies takes nothing along: what it held is given to another, and an item that kills its
worker each time ends as `Died`, not as a loop. An item that takes too long or too much memory is
ended and tells so. No order of arrival, no engine and no number of workers changes a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol, TypeVar

from pipeline.runtime.executor.local import WorkerPool
from pipeline.runtime.executor.outcomes import (
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


class _Crew(Protocol):
    def round(self, items: Mapping[str, Any], width: int) -> Iterator[tuple[str, Any]]:
        """Give every item to a worker once."""


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
    """Apply `fn(state, item)` to every item and yield (key, outcome) as they come.

    Parameters
    ----------
    fn, setup
        Importable functions; `setup` is called once a worker and gives its state.
    engine
        `serial` in this process, where nothing is isolated and no limit holds, on one thread as
        each worker is: sums of more threads are rounded otherwise; `processes` on
        `workers` spawned ones; `ray` on actors of a Ray cluster, 0 workers: as many as it holds.
    limits
        What one item may take.
    devices
        For processes: the CUDA_VISIBLE_DEVICES of each worker.
    gpus
        For Ray: how many GPUs a worker takes.

    Raises
    ------
    Exception
        What `fn` or `setup` raises is raised here: an item that cannot be used must return its
        reason.
    MissingExtraError
        `ray` without the extra.
    PipelineError
        When workers die before their first item.
    """
    if not items:
        return  # what `setup` loads may be large
    if engine == "serial":
        from threadpoolctl import ThreadpoolController

        state = setup()
        pools = ThreadpoolController()  # of what `setup` has loaded
        for key, item in items.items():
            with pools.limit(limits=1):
                outcome = fn(state, item)
            yield key, outcome
        return
    if engine == "ray":
        from pipeline.runtime.executor import on_ray, ray_cluster

        with ray_cluster.cluster() as cluster:
            crew = on_ray.WorkerPool(fn, setup, limits, gpus)
            yield from _insist(crew, dict(items), workers or cluster.room(gpus))
        return
    yield from _insist(WorkerPool(fn, setup, limits, devices), dict(items), workers)


def _insist(crew: _Crew, items: dict[str, Any], workers: int) -> Iterator[tuple[str, Any]]:
    """Rounds until each item has its outcome; the last try is alone, in case two at once were too
    much for the machine."""
    for tries in range(1, TRIES + 1):
        alone = tries == TRIES > 1
        failed: dict[str, Any] = {}
        for key, outcome in crew.round(items, 1 if alone else workers):
            if type(outcome) in (Died, InvalidResult) and tries < TRIES:
                failed[key] = items[key]
            else:
                yield key, _tried(outcome, tries)
        if not failed:
            return
        items = failed


def _tried(outcome: Any, tries: int) -> Any:
    return replace(outcome, tries=tries) if isinstance(outcome, Died) else outcome
