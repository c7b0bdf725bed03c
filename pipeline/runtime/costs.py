"""What runs cost on this machine, and what each unit was made with.

Both are kept in `data/<dataset>/.local`. They change no result and may be deleted at any time:
`plan` reads them to estimate times and to say why a unit is redone.
"""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.runtime.store import read_json, write_json

_MAX_RUNS = 8
"""Runs remembered per stage."""
_KEY_CHARS = 16


@dataclass(frozen=True)
class UnitCost:
    """Seconds that one unit took a worker, and the worker's peak memory in MB so far."""

    busy_s: float
    memory_mb: float


@dataclass(frozen=True)
class StageCost:
    """What one run of a stage cost.

    `done` of the `planned` units were processed. `effort` is their sum of `Unit.effort`, `busy_s`
    the workers' time on them, and `out_bytes` the size of their files and receipts. `loop_s` is the
    time from the first unit's start to the last one's end on that many `processes` (0: in the run's
    own process), `whole_s` that of the whole stage. `memory_mb` is the largest worker's peak.
    """

    planned: int
    done: int
    effort: int
    busy_s: float
    loop_s: float
    whole_s: float
    processes: int
    out_bytes: int
    memory_mb: float


def stage_cost(
    costs: Collection[UnitCost],
    *,
    planned: int,
    effort: int,
    loop_s: float,
    workers: int,
    out_bytes: int,
) -> StageCost:
    """Sum up the cost of the units of one run; `whole_s` is `loop_s` until the stage has ended."""
    return StageCost(
        planned=planned,
        done=len(costs),
        effort=effort,
        busy_s=sum(cost.busy_s for cost in costs),
        loop_s=loop_s,
        whole_s=loop_s,
        processes=min(workers, len(costs)),
        out_bytes=out_bytes,
        memory_mb=max([cost.memory_mb for cost in costs], default=0.0),
    )


def peak_memory_mb() -> float:
    """Peak resident memory of this process, in MB of 10^6 bytes.

    On Linux this reads /proc, because getrusage gives a new process its parent's peak.
    """
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


class Rates:
    """What the stages of one dataset cost, run by run, the newest last."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def known(self, stage: str) -> list[StageCost]:
        """The remembered runs of a stage; rows of another version are ignored."""
        return [StageCost(**row) for row in self._rows().get(stage, [])]

    def remember(self, stage: str, run: StageCost) -> None:
        """Append what a run cost."""
        rows = self._rows()
        rows[stage] = [*rows.get(stage, []), asdict(run)][-_MAX_RUNS:]
        write_json(self.file, rows)

    def _rows(self) -> dict[str, list[dict[str, Any]]]:
        return {
            stage: [row for row in _list_or_empty(rows) if _is_cost(row)]
            for stage, rows in _read(self.file).items()
        }


@dataclass(frozen=True)
class Provenance:
    """What a unit was made with: digests of the code's version and of the parameters."""

    code: str
    parameters: str


class ProvenanceCache:
    """What the units of one stage were made with, so that `plan` can name a later change."""

    def __init__(self, file: Path) -> None:
        self.file = file
        content = _read(file)
        kinds, units = _list_or_empty(content.get("kinds")), content.get("units")
        if not isinstance(units, dict) or not all(map(_is_kind, kinds)):
            kinds, units = [], {}
        self._kinds = [Provenance(*kind) for kind in kinds]
        self._units: dict[str, tuple[str, int]] = {
            unit: (row[0], row[1]) for unit, row in units.items() if _is_unit(row, len(kinds))
        }

    def of(self, unit: str, key: str) -> Provenance | None:
        """What the unit with that key was made with; None if that is not recorded."""
        row = self._units.get(unit)
        if row is None or row[0] != key[:_KEY_CHARS]:
            return None
        return self._kinds[row[1]]

    def keep(self, units: Mapping[str, tuple[str, Provenance]]) -> None:
        """Record key and provenance of all units of a stage."""
        kinds: list[Provenance] = []
        rows: dict[str, tuple[str, int]] = {}
        for unit, (key, provenance) in sorted(units.items()):
            if provenance not in kinds:
                kinds.append(provenance)
            rows[unit] = key[:_KEY_CHARS], kinds.index(provenance)
        if (kinds, rows) != (self._kinds, self._units):
            write_json(self.file, {"kinds": list(map(astuple, kinds)), "units": rows})


def _read(file: Path) -> dict[str, Any]:
    content = read_json(file)
    return content if isinstance(content, dict) else {}


def _list_or_empty(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_COST_FIELDS = {field.name for field in fields(StageCost)}


def _is_cost(row: Any) -> bool:
    """Whether a row has the fields of this version, each a number."""
    return (
        isinstance(row, dict)
        and set(row) == _COST_FIELDS
        and all(type(value) in (int, float) and math.isfinite(value) for value in row.values())
    )


def _is_kind(row: Any) -> bool:
    match row:
        case [str(), str()]:
            return True
    return False


def _is_unit(row: Any, n_kinds: int) -> bool:
    match row:
        case [str(), int(kind)]:
            return 0 <= kind < n_kinds
    return False
