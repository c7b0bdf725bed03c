"""The figure of a pair: coordinates of all curves, marks and lines of its panels.

Pure geometry, drawn by the page's template and by `pair_sheet`. All panels share one axis, the time
of take a; the time map moves take b there. The horizontal range is 0 to `WIDTH`, the vertical range
0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.alignment.warping_path import map_times
from pipeline.records import Pair
from pipeline.stages.report.inputs import F64

WIDTH = 1000.0
_MAX_ERROR_MS = 100.0
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)
_TICKS = 10


@dataclass(frozen=True)
class TakeCurves:
    """One take of the pair: instants and mouth openings (n,) of its frames, NaN where unknown.

    Instants are the moments of the audio that the frames show: the image's delay `late_s` is
    subtracted. `start_s` and `end_s` are of its audio; all on the container's clock.
    """

    instants_s: F64
    mouth_open: F64
    start_s: float
    end_s: float
    late_s: float = 0.0

    @property
    def span_s(self) -> tuple[float, float]:
        """The time range of frames and audio."""
        ends = [self.start_s, self.end_s, *self.instants_s[[0, -1]]] if len(self.instants_s) else []
        return (min(ends), max(ends)) if ends else (self.start_s, self.end_s)


@dataclass(frozen=True)
class Axis:
    """Map seconds to positions in a panel of this length."""

    start_s: float
    end_s: float
    length: float = WIDTH

    def x(self, time_s: float) -> float:
        """The position of an instant."""
        return (time_s - self.start_s) / (self.end_s - self.start_s) * self.length

    def ticks(self) -> list[dict[str, Any]]:
        """Ticks at round times, about ten at most."""
        span = self.end_s - self.start_s
        step = next(s for s in _STEPS_S if span / s <= _TICKS or s == _STEPS_S[-1])
        first = math.ceil(self.start_s / step - 1e-9)
        last = math.floor(self.end_s / step + 1e-9)
        times = [k * step for k in range(first, last + 1)]
        return [{"x": _px(self.x(t)), "label": f"{t:.1f}" if step < 1 else f"{t:g}"} for t in times]


def figure(
    pair: Pair, a: TakeCurves, b: TakeCurves, shown: Sequence[int], true_ms: Sequence[float | None]
) -> dict[str, Any]:
    """All coordinates of a pair's figure, rounded.

    Parameters
    ----------
    shown
        Positions in the pair's columns of the frames in the film strip.
    true_ms
        True error of each frame pair, None where unknown; empty without truth.
    """
    knots = np.column_stack([pair.knots_a_s, pair.knots_b_s])
    axis = shared_axis(a, b, knots)
    x = [axis.x(t) for t in a.instants_s[list(pair.frame_a)]]
    start_b, end_b = map_times(knots[:, ::-1], [b.start_s, b.end_s])
    return {
        "start_s": round(axis.start_s, 4),
        "end_s": round(axis.end_s, 4),
        "ticks": axis.ticks(),
        "marks": [{"x": _px(x[k]), "label": n + 1} for n, k in enumerate(shown)],
        "confidence": _broken_line(x, [1 - c for c in pair.confidence], pair.frame_a),
        "error": _broken_line(x, [1 - e for e in _errors(pair.error_ms)], pair.frame_a),
        "true": [
            [_px(x[k]), _unit(1 - min(abs(t) / _MAX_ERROR_MS, 1.0)), abs(t) > _MAX_ERROR_MS]
            for k, t in enumerate(true_ms)
            if t is not None
        ],
        "max_error_ms": _MAX_ERROR_MS,
        "mouth": _mouths(a, b, axis, knots),
        "speech": {
            "a": _spoken(x, pair.speech_a, pair.frame_a, 0.25),
            "b": _spoken(x, pair.speech_b, pair.frame_a, 0.75),
        },
        "audio_a": _stretch(axis, a.start_s, a.end_s),
        "audio_b": _stretch(axis, float(start_b), float(end_b)),
        "path": _path(axis, b, knots),
        "knots": [[round(float(s), 3), round(float(t), 3)] for s, t in knots],
    }


def shared_axis(a: TakeCurves, b: TakeCurves, knots: F64) -> Axis:
    """The time axis of take a, long enough for both takes under the time map."""
    moved = map_times(knots[:, ::-1], b.span_s)
    start, end = min(a.span_s[0], float(moved[0])), max(a.span_s[1], float(moved[1]))
    return Axis(start, end)


def _stretch(axis: Axis, start_s: float, end_s: float) -> list[float]:
    """Position and length of a time range."""
    return [_px(axis.x(start_s)), _px(axis.x(end_s) - axis.x(start_s))]


def _errors(errors_ms: Sequence[float]) -> list[float]:
    return [min(e / _MAX_ERROR_MS, 1.0) for e in errors_ms]


def _broken_line(x: Sequence[float], y: Sequence[float], frames: Sequence[int]) -> list[str]:
    """Points of polylines, one for each run of frames without a gap."""
    lines: list[list[str]] = []
    for k, (px, py) in enumerate(zip(x, y, strict=True)):
        if k == 0 or frames[k] - frames[k - 1] > 1:
            lines.append([])
        lines[-1].append(f"{_px(px):g},{_unit(py):g}")
    # Repeat a single point, because a line of one point is not drawn.
    return [" ".join(line * 2 if len(line) == 1 else line) for line in lines]


def _spoken(
    x: Sequence[float], speech: Sequence[bool], frames: Sequence[int], y: float
) -> list[str]:
    """Lines at height `y` along the frame pairs at which a take speaks."""
    at = [k for k, speaks in enumerate(speech) if speaks]
    return _broken_line([x[k] for k in at], [y] * len(at), [frames[k] for k in at])


def _mouths(a: TakeCurves, b: TakeCurves, axis: Axis, knots: F64) -> dict[str, Any] | None:
    """Mouth openings of both takes in the time of a; None if either has none."""
    known = [v[np.isfinite(v)] for v in (a.mouth_open, b.mouth_open)]
    if not len(known[0]) or not len(known[1]):
        return None
    top = max(float(values.max()) for values in known)
    top = math.ceil(max(top, 0.05) * 20) / 20
    b_on_a = map_times(knots[:, ::-1], b.instants_s)
    return {
        "top": f"{top:.2f}",
        "a": _curve(a.instants_s, a.mouth_open, axis, top),
        "b": _curve(b_on_a, b.mouth_open, axis, top),
    }


def _curve(times_s: F64, values: F64, axis: Axis, top: float) -> list[str]:
    inside = np.isfinite(values) & (times_s >= axis.start_s) & (times_s <= axis.end_s)
    at = np.flatnonzero(inside)
    return _broken_line(
        [axis.x(t) for t in times_s[at]], [1 - v / top for v in values[at]], at.tolist()
    )


def _path(axis: Axis, b: TakeCurves, knots: F64) -> dict[str, Any]:
    """The warping path: b's time (vertical) over a's; `even` is constant speed."""
    start, end = b.span_s
    down = Axis(end, start, 1.0)
    points = [f"{_px(axis.x(s)):g},{_unit(down.x(t)):g}" for s, t in knots]
    return {
        "line": " ".join(points),
        "even": f"{points[0]} {points[-1]}",
        "top": f"{end:.1f}",
        "bottom": f"{start:.1f}",
    }


def _px(value: float) -> float:
    return round(float(value), 1) + 0.0


def _unit(value: float) -> float:
    return round(float(value), 4) + 0.0
