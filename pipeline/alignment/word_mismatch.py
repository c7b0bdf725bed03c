"""Words that only one of two takes has, or has twice."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numba
import numpy as np
import numpy.typing as npt
from scipy.ndimage import minimum_filter1d

from pipeline.alignment.features import TakeFeatures
from pipeline.alignment.kernels import heaviest_stretch
from pipeline.alignment.types import BoolArray
from pipeline.alignment.warping_path import Warp, unit_cells
from pipeline.params import AlignSpans

Kind = Literal["only_in_a", "only_in_b", "twice_in_a", "twice_in_b"]


@dataclass(frozen=True)
class OddSpan:
    """The most unusual stretch of a pair.

    Attributes
    ----------
    score : float >= 0
        1 or more is an alarm.
    kind : which take has it, and how
    start_s, stop_s : float
        On the clock of the take that has it.
    """

    score: float
    kind: Kind
    start_s: float
    stop_s: float


def odd_span(warp: Warp, a: TakeFeatures, b: TakeFeatures, params: AlignSpans) -> OddSpan:
    """Find speech that only one take has, or that a take has twice in a row.

    A one-sided stretch is a run of the path along one axis through speech, with small breaks
    allowed. Each cell counts with its distance relative to the pair's typical one, so a drawn-out
    vowel (whose cells are similar) weighs little. A repetition is visible in one take alone, as a
    sharp dip of its self-distance at one lag.
    """
    typical = _typical(warp, a, b)
    found = [
        _one_sided(warp, a, params, "only_in_a", typical),
        _one_sided(warp, b, params, "only_in_b", typical),
        _twice(a, params, "twice_in_a"),
        _twice(b, params, "twice_in_b"),
    ]
    return max(found, key=lambda span: span.score)


def _one_sided(
    warp: Warp, take: TakeFeatures, params: AlignSpans, kind: Kind, typical: float
) -> OddSpan:
    """The stretch that only one take has; `typical`: the distance where both speak."""
    cells, other = warp.cells_a, warp.cells_b
    if kind == "only_in_b":
        cells, other = other, cells
    speaks = _inner_speech(take.speech, params.speech_margin_s, warp.hop_s)[cells]
    alone = np.zeros(len(cells), np.bool_)
    alone[1:] = (cells[1:] != cells[:-1]) & (other[1:] == other[:-1])
    gain = speaks * np.minimum(warp.distances, params.distance_cap)
    total, start, stop = heaviest_stretch(np.where(alone, gain, -params.step_fee))
    score = total * warp.hop_s / typical / params.limit_s
    return OddSpan(score, kind, *_stretch_s(cells, start, stop, warp.hop_s))


def _inner_speech(speech: BoolArray, margin_s: float, hop_s: float) -> BoolArray:
    width = 2 * round(margin_s / hop_s) + 1
    inner: BoolArray = minimum_filter1d(speech.astype(np.uint8), width, mode="nearest") > 0
    return inner


def _typical(warp: Warp, a: TakeFeatures, b: TakeFeatures) -> float:
    both = a.speech[warp.cells_a] & b.speech[warp.cells_b]
    return max(float(np.median(warp.distances[both])), 0.05) if both.any() else 1.0


def _stretch_s(cells: npt.NDArray[Any], start: int, stop: int, hop_s: float) -> tuple[float, float]:
    if stop == start:
        return 0.0, 0.0
    return float(cells[start] * hop_s), float(cells[stop - 1] * hop_s)


def _twice(take: TakeFeatures, params: AlignSpans, kind: Kind) -> OddSpan:
    score, start_s, stop_s = _repetition(take, params)
    return OddSpan(score, kind, start_s, stop_s)


@lru_cache(maxsize=64)
def _repetition(take: TakeFeatures, params: AlignSpans) -> tuple[float, float, float]:
    """Score, start and end; cached, since a take has many partners."""
    beside = round(params.twice_beside_s / take.hop_s)
    shortest = max(round(params.twice_min_s / take.hop_s), beside + 1)
    longest = round(params.twice_max_s / take.hop_s)
    to_itself = _at_lags(unit_cells(take.mel), shortest - beside, longest + beside)
    dip, lag, start = _deepest_dip(
        to_itself, take.speech, shortest, longest, beside, params.twice_speech
    )
    return dip / params.twice_limit, start * take.hop_s, (start + 2 * lag) * take.hop_s


@numba.njit(cache=True, fastmath={"reassoc", "contract"})
def _at_lags(cells: npt.NDArray[Any], shortest: int, longest: int) -> npt.NDArray[Any]:
    """Distance of each cell to those `shortest` to `longest` later [shape=(n, n_lags)]; else 0."""
    n, n_features = cells.shape
    distances = np.zeros((n, longest - shortest + 1))
    for i in range(n):
        for lag in range(shortest, min(longest, n - 1 - i) + 1):
            cosine = np.float32(0)
            for k in range(n_features):
                cosine += cells[i, k] * cells[i + lag, k]
            distances[i, lag - shortest] = min(max(1.0 - cosine, 0.0), 2.0)
    return distances


@numba.njit(cache=True)
def _deepest_dip(
    distances: npt.NDArray[Any],
    speech: npt.NDArray[Any],
    shortest: int,
    longest: int,
    beside: int,
    speech_share: float,
) -> tuple[float, int, int]:
    """Largest mean dip of the distance at one lag against neighbouring lags, over that lag."""
    n = len(distances)
    first = shortest - beside  # the lag of the distances' first column
    best, best_lag, best_start = 0.0, shortest, 0
    gain = np.empty(n)
    for lag in range(shortest, min(longest, (n - beside) // 2) + 1):
        at, total, spoken = lag - first, 0.0, 0
        for i in range(n - lag - beside):
            gain[i] = (distances[i, at + beside] + distances[i, at - beside]) / 2
            gain[i] -= distances[i, at]
            total += gain[i]
            spoken += speech[i]
            if i >= lag:
                total -= gain[i - lag]
                spoken -= speech[i - lag]
            if i >= lag - 1 and spoken >= speech_share * lag and total > best * lag:
                best, best_lag, best_start = total / lag, lag, i - lag + 1
    return best, best_lag, best_start
