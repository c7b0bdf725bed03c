"""The count of a stage: how many items were planned, kept, and rejected for which reason."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.records import Rejected
from pipeline.runtime.run import Run
from pipeline.runtime.store import write_json
from pipeline.runtime.summary_file import NAME, read_summary
from pipeline.runtime.units import Batch

_STORED = ("stage", "dataset", "grain", "planned", "kept", "reasons", "notes", "look")


@dataclass(frozen=True)
class Summary:
    """One stage's count: kept + rejected == planned.

    `look` are the paths where a user finds the result.
    """

    stage: str
    dataset: str
    grain: str
    planned: int
    kept: int
    reasons: Mapping[str, int]
    done: int
    reused: int
    removed: int
    notes: tuple[str, ...] = ()
    look: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lost = self.planned - self.kept - sum(self.reasons.values())
        if lost:
            raise AssertionError(
                f"{self.stage}: {lost} of {self.planned} {self.grain} unaccounted for"
            )


def summarise(
    stage: str,
    run: Run,
    grain: str,
    planned: int,
    kept: int,
    rejects: Iterable[Rejected],
    batch: Batch,
    notes: Sequence[str] = (),
    look: Sequence[str] = (),
) -> Summary:
    """Count the stage's main grain, and store the count with its tables.

    The stored file leaves out what was done or reused: that differs from run to run, and outputs
    must not.
    """
    reasons = Counter(reject.reason for reject in rejects if reject.grain == grain)
    summary = Summary(
        stage, run.dataset, grain, planned, kept, dict(sorted(reasons.items())),
        batch.done, batch.reused, batch.removed, tuple(notes), tuple(look),
    )  # fmt: skip
    stored = {name: getattr(summary, name) for name in _STORED}
    stored["look"] = [_relative(run.data, path) for path in look]
    stored["numerics"] = batch.numerics()
    write_json(run.folder(stage) / "tables" / NAME, stored)
    run.unfinished(stage).unlink(missing_ok=True)
    if batch.cost is not None:
        whole_s = time.perf_counter() - run.began_s
        run.rates().remember(stage, replace(batch.cost, whole_s=whole_s))
    return summary


def _relative(folder: Path, place: str) -> str:
    """A path relative to the data folder: an output must not name the machine's folders."""
    path = Path(place)
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else place


def summaries(run: Run, stages: Sequence[str]) -> dict[str, dict[str, Any] | None]:
    """The stored count of each stage, None if it has not run.

    Raises
    ------
    TableError
        If a file is damaged.
    """
    return {stage: read_summary(run.folder(stage)) for stage in stages}
