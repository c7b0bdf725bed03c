"""The clear frames D_n for the page: clarity by emotion, what was kept, contact sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.records import CLEAR_SCHEMA, ClarityThreshold, FilteredTake, Suspect, YieldPoint
from pipeline.runtime.run import Run
from pipeline.runtime.tables import AnyRow
from pipeline.stages.report.inputs import F64
from pipeline.stages.report.metrics import Distribution, distribution, rounded, share, table
from spfem_data.labels import EMOTIONS

CLEAR = ".clear.parquet"
KINDS = ("best", "worst", "below")
"""Sheets of an emotion: clearest kept, faintest of the others kept, clearest not kept."""
_BINS = 20

Names = NDArray[np.str_]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Clear:
    """The filter's output, empty where it has not run. The arrays (n,) are rows by speaker.

    `emotion`, `verdict` and `take` hold names, `clarity` is NaN where there is none.
    """

    takes: Mapping[str, FilteredTake]
    thresholds: tuple[ClarityThreshold, ...]
    yields: tuple[YieldPoint, ...]
    suspects: tuple[Suspect, ...]
    take: Names
    frame: I64
    emotion: Names
    clarity: F64
    verdict: Names

    @property
    def kept(self) -> Mask:
        """(n,) which frames are in D_n."""
        return np.asarray(self.verdict == "kept")

    def of(self, emotion: str) -> Mask:
        """(n,) which frames were judged for an emotion."""
        return np.asarray(self.emotion == emotion)


def gather_clear(run: Run) -> Clear:
    """Read the filter's tables."""
    takes = {row.take_id: row for row in _rows(run, "filtered_takes", FilteredTake)}
    speakers = sorted({row.speaker for row in takes.values()})
    parts = [run.read_item("filter", one, CLEAR, schema=CLEAR_SCHEMA) for one in speakers]
    rows = pa.concat_tables([CLEAR_SCHEMA.empty_table(), *parts])
    text = {name: np.array(rows[name].to_pylist(), np.str_) for name in ("emotion", "verdict")}
    return Clear(
        takes,
        _rows(run, "thresholds", ClarityThreshold),
        _rows(run, "yields", YieldPoint),
        _rows(run, "suspects", Suspect),
        np.array(rows["take_id"].to_pylist(), np.str_),
        rows["frame"].to_numpy().astype(np.int64),
        clarity=rows["clarity"].to_numpy(zero_copy_only=False).astype(np.float64),
        **text,
    )


def _rows(run: Run, name: str, kind: type[AnyRow]) -> tuple[AnyRow, ...]:
    return tuple(run.find("filter", name, kind) or ())


@dataclass(frozen=True)
class Panel:
    """One emotion: its frames by clarity, those kept, and the yield at each threshold.

    `counts` and `kept` are per bin of `edges`; `curve` holds (threshold, share that passes).
    """

    emotion: str
    threshold: ClarityThreshold
    n_scored: int
    n_kept: int
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    kept: tuple[int, ...]
    curve: tuple[tuple[float, float], ...]


def panels(clear: Clear) -> list[Panel]:
    """One panel per emotion; none where no frame was scored."""
    if not len(clear.frame):
        return []
    return [_panel(clear, threshold) for threshold in clear.thresholds]


def _panel(clear: Clear, threshold: ClarityThreshold) -> Panel:
    own = clear.of(threshold.emotion)
    series = {"scored": clear.clarity[own], "kept": clear.clarity[own & clear.kept]}
    bars = distribution("", "", "", 0, 1, _BINS, series)
    curve = [
        (point.threshold, point.n_passing / point.n_scored)
        for point in clear.yields
        if point.emotion == threshold.emotion and point.n_scored
    ]
    return Panel(
        threshold.emotion, threshold, int(own.sum()), int((own & clear.kept).sum()), bars.edges,
        bars.counts["scored"], bars.counts["kept"], tuple(curve),
    )  # fmt: skip


def clarity_plot(clear: Clear) -> Distribution:
    """All scored frames by clarity, one series per emotion."""
    series = {name: clear.clarity[clear.of(name)] for name in EMOTIONS}
    return distribution("clarity", "Clarity of scored frames", "", 0, 1, _BINS, series)


def yield_tables(clear: Clear) -> dict[str, str]:
    """The yield curve of each emotion for DVC's plots: threshold, share of frames that pass."""
    return {
        name: table(
            "threshold,share",
            (
                (p.threshold, rounded(p.n_passing / p.n_scored) if p.n_scored else 0.0)
                for p in sorted(clear.yields, key=lambda p: p.threshold)
                if p.emotion == name
            ),
        )
        for name in EMOTIONS
    }


def clear_metrics(clear: Clear) -> dict[str, Any]:
    """The filter's numbers in metrics.json, next to planned and kept takes."""
    kept = clear.kept
    return {
        "frames_scored": len(kept),
        "frames_clear": int(kept.sum()),
        "clear_share": share(int(kept.sum()), len(kept)),
        "clear_per_emotion": {name: int((clear.of(name) & kept).sum()) for name in EMOTIONS},
        "thresholds": {
            row.emotion: None if row.threshold is None else rounded(row.threshold)
            for row in clear.thresholds
        },
        "suspects": len(clear.suspects),
    }


def chosen_frames(clear: Clear, count: int) -> dict[tuple[str, str], list[int]]:
    """Rows of the sheets (emotion, kind): at most `count` each, one per take before a second.

    No frame is on two sheets.
    """
    sheets = {}
    for emotion in EMOTIONS:
        own = clear.of(emotion)
        kept = np.flatnonzero(own & clear.kept)
        below = np.flatnonzero(own & (clear.verdict == "unclear") & np.isfinite(clear.clarity))
        best = _take_by_take(kept[_order(-clear.clarity[kept])].tolist(), clear.take, count)
        others = np.setdiff1d(kept, best)
        worst = others[_order(clear.clarity[others])].tolist()
        rest = below[_order(-clear.clarity[below])].tolist()
        for kind, rows in zip(KINDS, (best, worst, rest), strict=True):
            if rows:
                sheets[emotion, kind] = _take_by_take(rows, clear.take, count)
    return sheets


def _order(values: F64) -> I64:
    return np.asarray(np.argsort(values, kind="stable"), np.int64)


def _take_by_take(rows: Sequence[int], takes: Names, count: int) -> list[int]:
    """The first `count` rows, a take's second row only after the first of every other take."""
    seen: dict[str, int] = {}
    turns = []
    for place, row in enumerate(rows):
        turn = seen[takes[row]] = seen.get(takes[row], -1) + 1
        turns.append((turn, place, row))
    first = sorted(turns)[:count]
    return [row for _, row in sorted((place, row) for _, place, row in first)]


def suspect_frames(clear: Clear, suspect: Suspect, count: int) -> list[int]:
    """At most `count` rows of a suspect take, evenly spaced over its scored frames."""
    rows = np.flatnonzero(clear.take == suspect.take_id)
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    return [int(rows[place]) for place in places]
