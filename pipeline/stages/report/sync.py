"""The offsets of recording sessions for the page and metrics.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.records import SyncSession, SyncTake
from pipeline.runtime.run import Run
from pipeline.runtime.summary_file import read_summary
from pipeline.stages.report.metrics import median, quantile
from pipeline.stages.report.truth import Truth

_ROWS = 200


@dataclass(frozen=True)
class SyncPage:
    """The summary of sync, and its sessions: the largest offsets first, then by name.

    `left_out` sessions have no row. `reach_ms` is the largest offset, at least 40.
    """

    notes: tuple[str, ...]
    sessions: tuple[SyncSession, ...]
    left_out: int
    reach_ms: float


def sync_page(run: Run) -> SyncPage | None:
    """The section of the page; None if sync has not run."""
    rows, summary = _sessions(run), read_summary(run.folder("sync"))
    if rows is None or summary is None:
        return None
    ordered = sorted(rows, key=lambda s: (-abs(s.applied_ms), -abs(s.offset_ms or 0.0), s.session))
    reach_ms = max([40.0, *(abs(row.offset_ms) for row in rows if row.offset_ms is not None)])
    return SyncPage(
        tuple(summary["notes"]), tuple(ordered[:_ROWS]), max(len(rows) - _ROWS, 0), reach_ms
    )


def sync_metrics(run: Run) -> dict[str, Any]:
    """How many sessions there are, how many are shifted, and how far."""
    rows = _sessions(run) or []
    shifted = [row.applied_ms for row in rows if row.applied_ms]
    return {
        "sessions": len(rows),
        "sessions_shifted": len(shifted),
        "latest_ms": max(shifted, default=None),
        "earliest_ms": min(shifted, default=None),
    }


def sync_figures(run: Run, truth: Truth) -> dict[str, float | None]:
    """Errors of what was applied against the demo's truth, over its recording sessions."""
    takes = run.find("sync", "sync_takes", SyncTake) or []
    true_ms: dict[str, float] = {}
    applied: dict[str, list[float]] = {}
    for row in takes:
        if row.take_id in truth.takes:
            true_ms[row.session] = truth.takes[row.take_id].image_late_s * 1000
            applied.setdefault(row.session, []).append(row.applied_ms)
    errors = {s: float(np.mean(applied[s])) - late for s, late in true_ms.items()}
    still = [abs(error) for session, error in errors.items() if true_ms[session] == 0]
    return {
        "sessions": len(errors),
        "sessions_off": sum(late != 0 for late in true_ms.values()),
        "error_ms_median": median(abs(error) for error in errors.values()),
        "error_ms_p95": quantile((abs(error) for error in errors.values()), 0.95),
        "in_sync_moved_ms_max": max(still, default=None),
    }


def _sessions(run: Run) -> Sequence[SyncSession] | None:
    return run.find("sync", "sync_sessions", SyncSession)
