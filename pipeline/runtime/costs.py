"""What work cost on this machine, and what each unit was made with: local memories, no outputs.

They lie in `data/<dataset>/.local`, change no result and may be deleted at any time; `plan` reads
them to tell how long work will take and why it is to be redone.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from pipeline.digests import digest
from pipeline.runtime.store import read_json, write_json

_KEPT = 8
"""Runs of a stage that are remembered; the last count most, older ones tell of other corpora."""
_KEY_CHARS = 16


@dataclass(frozen=True)
class Cost:
    """What one unit cost: effort in the stage's own measure, seconds of one worker, MB at most.

    `volume` is the stage's own measure of the bytes written. `is_first`: it was its worker's first
    of that kind, which paid for models and compiled code.
    """

    effort: float
    volume: float
    busy_s: float
    memory_mb: float
    is_first: bool


@dataclass(frozen=True)
class Spent:
    """What one run of a stage cost.

    `effort` and `volume` add up those of the `done` units of `planned` (whose effort, as planned,
    is `planned_effort`), `busy_s` the seconds of all workers on them and `out_bytes` what they
    wrote; `steady_effort` and `steady_s` leave out each worker's first unit. `loop_s` is from the
    first unit's start to the last one's end on so many `processes` (0: in the run's own), `whole_s`
    the whole stage, `memory_mb` the largest worker.
    """

    planned: int
    planned_effort: float
    done: int
    effort: float
    volume: float
    busy_s: float
    steady_effort: float
    steady_s: float
    loop_s: float
    whole_s: float
    processes: int
    out_bytes: int
    memory_mb: float


class Stopwatch:
    """The cost of a block of one worker's work; `kind` tells first units of their kind apart."""

    _seen: ClassVar[set[str]] = set()

    def __init__(self, kind: str) -> None:
        self._is_first = kind not in self._seen
        self._seen.add(kind)
        self._began = time.perf_counter()

    def cost(self, effort: float, volume: float) -> Cost:
        """What was spent since the beginning."""
        busy_s = time.perf_counter() - self._began
        return Cost(effort, volume, busy_s, peak_memory_mb(), self._is_first)


def peak_memory_mb() -> float:
    """The most memory that this process has held so far, in MB of 10^6 bytes.

    On Linux of /proc: getrusage gives a new process its parent's peak.
    """
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def spent(
    costs: Iterable[Cost], *, planned: Sequence[float], loop_s: float, workers: int, out_bytes: int
) -> Spent:
    """The sum of the units' costs; the whole stage's time is not known yet.

    Parameters
    ----------
    planned
        The efforts of all planned units, done or not.
    workers
        How many processes there were for the work at most; 0: the run's own did it.
    """
    found = list(costs)
    steady = [cost for cost in found if not cost.is_first]
    return Spent(
        planned=len(planned),
        planned_effort=sum(planned),
        done=len(found),
        effort=sum(cost.effort for cost in found),
        volume=sum(cost.volume for cost in found),
        busy_s=sum(cost.busy_s for cost in found),
        steady_effort=sum(cost.effort for cost in steady),
        steady_s=sum(cost.busy_s for cost in steady),
        loop_s=loop_s,
        whole_s=loop_s,
        processes=min(workers, len(found)),
        out_bytes=out_bytes,
        memory_mb=max([cost.memory_mb for cost in found], default=0.0),
    )


class Rates:
    """What the stages of one dataset cost, run by run, the newest last."""

    def __init__(self, memory: Path) -> None:
        self.memory = memory

    def known(self, stage: str) -> list[Spent]:
        """The remembered runs of a stage; a memory of another version tells nothing."""
        return [Spent(**row) for row in self._rows().get(stage, [])]

    def remember(self, stage: str, run: Spent) -> None:
        """Keep what a run cost."""
        found = self._rows()
        found[stage] = [*found.get(stage, []), asdict(run)][-_KEPT:]
        write_json(self.memory, found)

    def _rows(self) -> dict[str, list[dict[str, Any]]]:
        return {
            stage: [row for row in _listed(rows) if _is_spent(row)]
            for stage, rows in _read(self.memory).items()
        }


@dataclass(frozen=True)
class Provenance:
    """What a unit was made with: digests of the code's version, of the parameters, and of those of
    them that are thresholds (see `run.Unit`)."""

    code: str
    parameters: str
    thresholds: str = ""


class ProvenanceCache:
    """What the units of one stage were made with, so that a later change can be named."""

    def __init__(self, memory: Path) -> None:
        self.memory = memory
        known = _read(memory)
        kinds, units = _listed(known.get("kinds")), known.get("units")
        if not isinstance(units, dict) or not all(map(_is_kind, kinds)):
            kinds, units = [], {}
        self._kinds = [Provenance(*kind) for kind in kinds]
        self._units: dict[str, tuple[str, int]] = {
            unit: (row[0], row[1]) for unit, row in units.items() if _is_made(row, len(kinds))
        }

    def of(self, unit: str, key: str) -> Provenance | None:
        """What a unit of that key was made with, None where it is not remembered."""
        known = self._units.get(unit)
        if known is None or known[0] != key[:_KEY_CHARS]:
            return None
        return self._kinds[known[1]]

    def keep(self, units: Mapping[str, tuple[str, Provenance]]) -> None:
        """Remember the key and what it was made with of all units of a stage."""
        kinds: list[Provenance] = []
        told: dict[str, tuple[str, int]] = {}
        for unit, (key, made) in sorted(units.items()):
            if made not in kinds:
                kinds.append(made)
            told[unit] = key[:_KEY_CHARS], kinds.index(made)
        if (kinds, told) != (self._kinds, self._units):
            write_json(self.memory, {"kinds": list(map(astuple, kinds)), "units": told})


def short(*parts: object) -> str:
    """A short digest of what a unit is made with; the values are those of `reuse.digest`."""
    return digest(list(parts))[:12]


def _read(memory: Path) -> dict[str, Any]:
    found = read_json(memory)
    return found if isinstance(found, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_SPENT = {field.name for field in fields(Spent)}


def _is_spent(row: Any) -> bool:
    """Whether a row is of this version: its names, each a number."""
    return (
        isinstance(row, dict)
        and set(row) == _SPENT
        and all(type(value) in (int, float) and math.isfinite(value) for value in row.values())
    )


def _is_kind(row: Any) -> bool:
    match row:
        case [str(), str()] | [str(), str(), str()]:  # without thresholds: of an earlier version
            return True
    return False


def _is_made(row: Any, n_kinds: int) -> bool:
    match row:
        case [str(), int(kind)]:
            return 0 <= kind < n_kinds
    return False
