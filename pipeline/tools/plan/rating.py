"""What a stage costs here: by its own runs on this machine, a trial, else rates that are shipped.

Shipped rates are of one machine; a short job that every stage's work resembles (a warp, a JPEG,
spectra, loops) tells by how much this one is faster or slower.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.costs import Rates, Spent
from pipeline.runtime.run import Run
from pipeline.tools.plan.default_rates import MACHINE_S, SHIPPED, Costs

_RUNS = 3
"""The newest runs that count, of those that did anything."""


@dataclass(frozen=True)
class Rate(Costs):
    """What a stage costs here; `source` says whose rates."""

    source: str

    def seconds(self, efforts: Sequence[float], workers: int, planned: float = 0.0) -> float:
        """How long these units take: no faster than the longest one alone.

        Parameters
        ----------
        workers
            Processes, 0: the run's own does it.
        planned
            The effort of all units, also of those that stay.
        """
        rest_s = self.rest_s + planned * self.each_s
        if not efforts:
            return rest_s
        busy = [effort * self.unit_s for effort in efforts]
        shared_s = max(sum(busy) / min(max(workers, 1), len(busy)), *busy, 0.0)
        return rest_s + shared_s + self.warm_s + (self.spawn_s if workers else 0.0)


def rate_of(run: Run, stage: str, trial: Rate | None = None) -> Rate:
    """The rate of a stage: of this dataset's runs, else of a trial, of other datasets, shipped."""
    rate = _measured(run.rates(), stage, "runs of this dataset here")
    if rate is None and trial is not None:
        return trial
    for folder in sorted(run.data.glob("*/.local/rates.json")) if rate is None else ():
        name = folder.parent.parent.name
        rate = rate or _measured(Rates(folder), stage, f"runs of {name} here")
    return rate or shipped(stage)


def shipped(stage: str) -> Rate:
    """The rate that comes with this version, on this machine."""
    factor = slowness()
    here = {
        name: value * factor if name.endswith("_s") else value
        for name, value in asdict(SHIPPED[stage]).items()
    }
    return Rate(**here, source=f"shipped; this machine takes {factor:.2f} times as long")


def _measured(rates: Rates, stage: str, source: str) -> Rate | None:
    runs = rates.known(stage)
    worked = [run for run in runs if run.effort > 0][-_RUNS:]
    if not worked:
        return None
    usual = SHIPPED[stage]
    unit_s = _unit_s(worked, usual.warm_s)
    rest_s = runs[-1].whole_s - runs[-1].loop_s
    volume = sum(run.volume for run in worked)
    return Rate(
        unit_s=unit_s,
        warm_s=_mean([_warm_s(run, unit_s) for run in worked]),
        spawn_s=_mean([_spawn_s(run) for run in worked if run.processes]),
        rest_s=min(rest_s, usual.rest_s),
        each_s=max(rest_s - usual.rest_s, 0.0) / max(runs[-1].planned_effort, 1.0),
        unit_bytes=sum(run.out_bytes for run in worked) / volume if volume else usual.unit_bytes,
        beside_bytes=usual.beside_bytes,
        memory_mb=worked[-1].memory_mb,
        source=source,
    )


def _unit_s(runs: Sequence[Spent], usual_warm_s: float) -> float:
    """Seconds of a measure of effort; where all units were some worker's first, what they usually
    cost more is taken off, but not more than half."""
    steady = sum(run.steady_effort for run in runs)
    if steady:
        return sum(run.steady_s for run in runs) / steady
    spent_s = sum(run.busy_s for run in runs)
    warm_s = min(sum(_workers(run) for run in runs) * usual_warm_s, spent_s / 2)
    return (spent_s - warm_s) / sum(run.effort for run in runs)


def _warm_s(run: Spent, unit_s: float) -> float:
    """What a worker's first unit cost more than its effort."""
    first_s, effort = run.busy_s - run.steady_s, run.effort - run.steady_effort
    return max(first_s - effort * unit_s, 0.0) / _workers(run)


def _spawn_s(run: Spent) -> float:
    """What the loop took longer than its work, shared evenly."""
    return max(run.loop_s - run.busy_s / _workers(run), 0.0)


def _workers(run: Spent) -> int:
    return max(run.processes, 1)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def slowness() -> float:
    """How many times as long this machine takes as that of the shipped rates."""
    return machine_s() / MACHINE_S


@cache
def machine_s() -> float:
    """Processor seconds that this machine takes for the short job: the median, since stages do not
    have the machine at its best either."""
    random = np.random.default_rng(0)
    picture = random.integers(0, 255, (720, 720, 3), dtype=np.uint8)
    sound = random.standard_normal((32, 512)).astype(np.float32)
    return median(_job_s(picture, sound) for _ in range(11))


def _job_s(picture: NDArray[np.uint8], sound: NDArray[np.float32]) -> float:
    """Of arrays that stay where they are: what new memory costs differs most."""
    cv2.setNumThreads(1)
    matrix = np.array([[0.7, 0.02, 3.0], [-0.02, 0.7, 5.0]])
    warped = np.empty((512, 512, 3), np.uint8)
    began = time.process_time()
    for _ in range(8):
        cv2.warpAffine(picture, matrix, (512, 512), dst=warped)
        cv2.imencode(".jpg", warped)
        for _ in range(40):
            np.abs(np.fft.rfft(sound)).sum()
        sum(k * k % 7 for k in range(20_000))
    return time.process_time() - began


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
