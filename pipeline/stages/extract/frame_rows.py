"""Tracked frames as Arrow batches, with the measures computed for many frames at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.faces.measures import has_jumped, measure
from pipeline.faces.track_stats import TrackStats
from pipeline.faces.tracking import TrackedFrame
from pipeline.records import FRAMES_SCHEMA

_ROWS_PER_GROUP = 64


def batches(frames: Iterator[TrackedFrame], stats: TrackStats) -> Iterator[pa.RecordBatch]:
    """Row groups of records.FRAMES_SCHEMA; their measures are added to `stats`."""
    before: TrackedFrame | None = None
    while group := list(islice(frames, _ROWS_PER_GROUP)):
        columns = _columns(group, before, stats)
        yield pa.RecordBatch.from_arrays(
            [columns[field.name] for field in FRAMES_SCHEMA], schema=FRAMES_SCHEMA
        )
        before = group[-1]


def _columns(
    group: Sequence[TrackedFrame], before: TrackedFrame | None, stats: TrackStats
) -> dict[str, pa.Array]:
    jumped = _jumped(group, before)
    stats.jumps += sum(jumped)
    columns: dict[str, Any] = {
        **{name: [getattr(frame, name) for frame in group] for name in _COPIED},
        **_measured(group, stats),
        "found": [frame.landmarks is not None for frame in group],
        "landmarks": _flat([frame.landmarks for frame in group]),
        "jumped": jumped,
    }
    return {f.name: pa.array(columns[f.name], f.type) for f in FRAMES_SCHEMA}


_COPIED = ("frame", "time_s", "duration_s", "sharpness", "near_edge", "crop")
_MEASURES = (
    "yaw_deg", "pitch_deg", "roll_deg", "mouth_open", "mouth_width", "eye_open", "interocular_px",
)  # fmt: skip


def _flat(landmarks: Sequence[NDArray[np.float64] | None]) -> list[Any]:
    return [None if points is None else points.astype(np.float32).ravel() for points in landmarks]


def _measured(group: Sequence[TrackedFrame], stats: TrackStats) -> dict[str, list[float | None]]:
    """The measures of the frames with a face, None for all others."""
    columns: dict[str, list[float | None]] = {name: [None] * len(group) for name in _MEASURES}
    at = [k for k, frame in enumerate(group) if frame.landmarks is not None]
    if at:
        measures = measure(_stacked(group[k] for k in at))
        for name in _MEASURES:
            for k, value in zip(at, getattr(measures, name).tolist(), strict=True):
                columns[name][k] = value
        stats.interocular_px += measures.interocular_px.tolist()
        poses = measures.yaw_deg, measures.pitch_deg, measures.mouth_open
        stats.poses += zip(*(values.tolist() for values in poses), strict=True)
    return columns


def _jumped(group: Sequence[TrackedFrame], before: TrackedFrame | None) -> list[bool]:
    """Whether the face of each frame jumped since the frame before, where both have one."""
    pairs = {
        k: (one, other)
        for k, (one, other) in enumerate(zip([before, *group[:-1]], group, strict=True))
        if one is not None and one.landmarks is not None and other.landmarks is not None
    }
    jumped = [False] * len(group)
    if pairs:
        ones, others = (_stacked(pair[side] for pair in pairs.values()) for side in (0, 1))
        elapsed_s = np.array([other.time_s - one.time_s for one, other in pairs.values()])
        for k, value in zip(pairs, has_jumped(ones, others, elapsed_s), strict=True):
            jumped[k] = bool(value)
    return jumped


def _stacked(frames: Iterable[TrackedFrame]) -> NDArray[np.float64]:
    """Landmarks (n, 478, 3) of frames that all have a face."""
    return np.array([frame.landmarks for frame in frames], dtype=np.float64)
