"""The figure of a pair: where every curve, mark and line of its panels lies, as plain numbers.

Pure geometry: the template draws it. All panels share one axis of seconds, so that what stands
under a frame of take a belongs to it; take b has its own axis at the bottom, and lines lead there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.dtw.path import map_times
from pipeline.records import Pair
from pipeline.report.inputs import F64

WIDTH = 1180.0
LEFT, RIGHT = 78.0, 14.0
_MAX_ERROR_MS = 100.0
_LINES_PER_S = 8.0


@dataclass(frozen=True)
class TakeCurves:
    """One take of the pair: instants and mouth openings (n,) of its frames, NaN where unknown.

    `start_s` and `end_s` are of its sound; all on the container's clock.
    """

    instants_s: F64
    mouth_open: F64
    start_s: float
    end_s: float

    @property
    def span_s(self) -> tuple[float, float]:
        """From the first to the last thing that is to be seen or heard."""
        ends = [self.start_s, self.end_s, *self.instants_s[[0, -1]]] if len(self.instants_s) else []
        return (min(ends), max(ends)) if ends else (self.start_s, self.end_s)


@dataclass(frozen=True)
class Axis:
    """Seconds of one take to x of the figure."""

    start_s: float
    end_s: float
    px_per_s: float

    def x(self, time_s: float) -> float:
        """Where an instant lies."""
        return LEFT + (time_s - self.start_s) * self.px_per_s

    def ticks(self) -> list[dict[str, Any]]:
        """Marks at round times, at most about twelve."""
        step = next(
            s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)
            if (self.end_s - self.start_s) / s <= 12 or s == 1800
        )  # fmt: skip
        first = math.ceil(self.start_s / step - 1e-9)
        last = math.floor(self.end_s / step + 1e-9)
        times = [k * step for k in range(first, last + 1)]
        return [{"x": _px(self.x(t)), "label": f"{t:.1f}" if step < 1 else f"{t:g}"} for t in times]


def figure(
    pair: Pair, a: TakeCurves, b: TakeCurves, shown: Sequence[int], true_ms: Sequence[float | None]
) -> dict[str, Any]:
    """All coordinates of a pair's figure, rounded, ready for the template.

    Parameters
    ----------
    shown
        Positions in the pair's columns of the frames in the film strip.
    true_ms
        True error of each frame pair, None where unknown; empty without truth.
    """
    (start_a, end_a), (start_b, end_b) = a.span_s, b.span_s
    scale = (WIDTH - LEFT - RIGHT) / max(end_a - start_a, end_b - start_b)
    axis_a, axis_b = Axis(start_a, end_a, scale), Axis(start_b, end_b, scale)
    knots = np.column_stack([pair.knots_a_s, pair.knots_b_s])
    times = a.instants_s[list(pair.frame_a)]
    x = [axis_a.x(t) for t in times]
    return {
        "width": WIDTH,
        "left": LEFT,
        "end_a": _px(axis_a.x(end_a)),
        "end_b": _px(axis_b.x(end_b)),
        "ticks_a": axis_a.ticks(),
        "ticks_b": axis_b.ticks(),
        "marks": [{"x": _px(x[k]), "label": n + 1} for n, k in enumerate(shown)],
        "confidence": _broken_line(x, [1 - c for c in pair.confidence], pair.frame_a),
        "error": _broken_line(x, [1 - e for e in _errors(pair.error_ms)], pair.frame_a),
        "true": [
            [_px(x[k]), _unit(1 - min(abs(t) / _MAX_ERROR_MS, 1.0)), abs(t) > _MAX_ERROR_MS]
            for k, t in enumerate(true_ms)
            if t is not None
        ],
        "max_error_ms": _MAX_ERROR_MS,
        "mouth": _mouths(a, b, axis_a, knots),
        "sound_a": [_px(axis_a.x(a.start_s)), _px((a.end_s - a.start_s) * scale)],
        "sound_b": [_px(axis_b.x(b.start_s)), _px((b.end_s - b.start_s) * scale)],
        "warp": _warp(a, axis_a, axis_b, knots),
    }


def _errors(errors_ms: Sequence[float]) -> list[float]:
    return [min(e / _MAX_ERROR_MS, 1.0) for e in errors_ms]


def _broken_line(x: Sequence[float], y: Sequence[float], frames: Sequence[int]) -> list[str]:
    """Points of polylines, one for each stretch of frames without a gap."""
    lines: list[list[str]] = []
    for k, (px, py) in enumerate(zip(x, y, strict=True)):
        if k == 0 or frames[k] - frames[k - 1] > 1:
            lines.append([])
        lines[-1].append(f"{_px(px):g},{_unit(py):g}")
    # A lone point twice: a line of one point would not be drawn.
    return [" ".join(line * 2 if len(line) == 1 else line) for line in lines]


def _mouths(a: TakeCurves, b: TakeCurves, axis_a: Axis, knots: F64) -> dict[str, Any] | None:
    """Mouth openings of both takes over a's time; None where neither has any."""
    known = [v[np.isfinite(v)] for v in (a.mouth_open, b.mouth_open)]
    if not len(known[0]) or not len(known[1]):
        return None
    top = max(float(values.max()) for values in known)
    top = math.ceil(max(top, 0.05) * 20) / 20
    b_on_a = map_times(knots[:, ::-1], b.instants_s)
    return {
        "top": f"{top:.2f}",
        "a": _curve(a.instants_s, a.mouth_open, axis_a, top),
        "b": _curve(b_on_a, b.mouth_open, axis_a, top),
    }


def _curve(times_s: F64, values: F64, axis: Axis, top: float) -> list[str]:
    inside = np.isfinite(values) & (times_s >= axis.start_s) & (times_s <= axis.end_s)
    at = np.flatnonzero(inside)
    return _broken_line(
        [axis.x(t) for t in times_s[at]], [1 - v / top for v in values[at]], at.tolist()
    )


def _warp(a: TakeCurves, axis_a: Axis, axis_b: Axis, knots: F64) -> list[list[float]]:
    """Lines of the time map: evenly over a's sound, from x on a's axis to x on b's."""
    n = max(2, round((a.end_s - a.start_s) * _LINES_PER_S))
    times = np.linspace(max(a.start_s, knots[0, 0]), min(a.end_s, knots[-1, 0]), n)
    there = map_times(knots, times)
    return [[_px(axis_a.x(s)), _px(axis_b.x(t))] for s, t in zip(times, there, strict=True)]


def _px(value: float) -> float:
    return round(float(value), 1) + 0.0


def _unit(value: float) -> float:
    return round(float(value), 4) + 0.0
