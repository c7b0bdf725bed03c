"""Ways to do the same, measured in turns: what a speed means on a machine that is never still.

A round does every case once, each round in another order; ratios are taken within a round and
their median is told. `cpu` is the processor's time, which neighbours disturb less than the clock.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

from pipeline.runtime import numerics
from pipeline.runtime.executor.worker import keep_freed_memory


class Took(NamedTuple):
    """What one case took in one round, and how many units of work it did."""

    units: float
    wall_s: float
    cpu_s: float


Case = Callable[[], Took]


def timed(units: float, work: Callable[[], object]) -> Took:
    """Do it in this process."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(units, time.perf_counter() - began, time.process_time() - cpu)


def race(cases: Mapping[str, Case], rounds: int) -> dict[str, list[Took]]:
    """Every case in every round; a round before the first warms up and is not counted."""
    took: dict[str, list[Took]] = {name: [] for name in cases}
    names = list(cases)
    for k in range(rounds + 1):
        for name in names[k % len(names) :] + names[: k % len(names)]:
            one = cases[name]()
            if k:
                took[name].append(one)
    return took


def table(title: str, unit: str, took: Mapping[str, list[Took]], floor: str) -> None:
    """Print a row a case: rates, and the rate over the floor's of the same round."""
    print(f"\n{title}")
    print(f"{'':34} {unit + '/s':>12} {'cpu ms each':>12} {'of floor':>9} {'(cpu)':>7}")
    for name, each in took.items():
        wall = statistics.median(t.units / t.wall_s for t in each)
        cpu = statistics.median(1e3 * t.cpu_s / t.units for t in each)
        own = ratio(took, name, floor), ratio(took, name, floor, cpu=True)
        print(f"{name:34} {wall:12.2f} {cpu:12.2f} {own[0]:9.2f} {own[1]:7.2f}")


def ratio(took: Mapping[str, list[Took]], one: str, other: str, *, cpu: bool = False) -> float:
    """How many times as fast as `other`: the median over the rounds."""
    side = 2 if cpu else 1
    return statistics.median(
        (a.units / a[side]) / (b.units / b[side])
        for a, b in zip(took[one], took[other], strict=True)
    )


def spread(took: Mapping[str, list[Took]], one: str, other: str) -> str:
    """Median, least and largest of the rounds' ratios."""
    each = [
        (a.units / a.wall_s) / (b.units / b.wall_s)
        for a, b in zip(took[one], took[other], strict=True)
    ]
    return f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"


class Crew:
    """Worker processes that stay up from round to round, so that starting them is not timed."""

    def __init__(self, pool: ProcessPoolExecutor, workers: int) -> None:
        self.pool, self.workers = pool, workers

    def __call__(self, work: Callable[[Any], float], items: Sequence[Any]) -> Took:
        """Do all items, each of which gives how many units it was."""
        began = time.perf_counter()
        done = list(self.pool.map(_measured, [work] * len(items), items))
        wall_s = time.perf_counter() - began
        return Took(sum(units for units, _ in done), wall_s, sum(cpu for _, cpu in done))


@contextmanager
def crew(workers: int, setup: Callable[[], None] = keep_freed_memory) -> Iterator[Crew]:
    """Spawned workers, one thread each, brought up as the engine's are unless `setup` says else."""
    numerics.assign(numerics.assigned())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=setup) as pool:
        yield Crew(pool, workers)


def _measured(work: Callable[[Any], float], item: Any) -> tuple[float, float]:
    children = os.times()
    began = time.process_time()
    units = work(item)
    after = os.times()
    spent = after.children_user + after.children_system
    spent -= children.children_user + children.children_system
    return units, time.process_time() - began + spent
