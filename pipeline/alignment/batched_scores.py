"""The same-sentence score of many pairs of takes, compiled.

Resolving the sentences of one MEAD speaker takes 7,200 scores per level; with a backend of
`pipeline.alignment.warping_path` that takes a minute. Here a take is compared with `LANES` others
at once: a matrix product gives the cosines of a strip of their cells, interleaved, so that a step
of the recurrence is one instruction for eight lanes and the strip is still in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from pipeline.alignment.features import TakeFeatures
from pipeline.alignment.sentence_score import UNJUDGED, score_of, score_takes
from pipeline.alignment.types import BoolArray, FeatureArray, FloatArray
from pipeline.alignment.warping_path import unit_cells
from pipeline.params import AlignSteps

LANES = 16
LONGEST_CELLS = 3000
"""Longer takes are compared one by one: memory holds a step for each two cells of 16 lanes."""
_STRIP = 24
"""Cells of a lane that are processed at once."""
_BINS = 4096
"""Bins of the histogram of distances, 0 to 2, that gives the percentile."""


@dataclass(frozen=True, eq=False)
class _Lanes:
    """Interleaved takes, the longest first; lanes without a take are silent.

    Attributes
    ----------
    members : index of each take in the list of all
    cells : float32 [shape=(m * LANES, n_features)]
        Unit length, ordered by cell, then lane; 0 beyond the end of a shorter take.
    speech : bool [shape=(m * LANES,)]
    """

    members: list[int]
    cells: FeatureArray
    speech: BoolArray

    @staticmethod
    def of(takes: Sequence[TakeFeatures], members: list[int]) -> _Lanes:
        """Lay out some of the takes."""
        m, n_features = takes[members[0]].mel.shape
        cells = np.zeros((m, LANES, n_features), np.float32)
        speech = np.zeros((m, LANES), np.bool_)
        for lane, member in enumerate(members):
            take = takes[member]
            cells[: len(take.mel), lane] = unit_cells(take.mel)
            speech[: len(take.mel), lane] = take.speech
        return _Lanes(members, cells.reshape(m * LANES, n_features), speech.ravel())


def score_table(
    a: Sequence[TakeFeatures],
    b: Sequence[TakeFeatures],
    tried: npt.ArrayLike,
    weights: AlignSteps,
) -> FloatArray:
    """`pipeline.alignment.align.same_sentence` of every two takes, to within 0.001.

    Parameters
    ----------
    tried : bool [shape=(len(a), len(b))]

    Returns
    -------
    float64 [shape=(len(a), len(b))]
        Infinite where `tried` is false.
    """
    wanted = np.asarray(tried, np.bool_)
    table = np.full(wanted.shape, np.inf)
    rows = [row for row, take in enumerate(a) if len(take.mel) <= LONGEST_CELLS]
    units = {row: unit_cells(a[row].mel) for row in rows}
    for members in _of_like_length(b):
        asked = [row for row in rows if wanted[row, members].any()]
        if not asked:
            continue
        lanes = _Lanes.of(b, members)
        room = np.empty(len(lanes.cells) * max(len(units[row]) for row in asked), np.uint8)
        for row in asked:
            table[row, members] = _scores(units[row], a[row].speech, lanes, b, weights, room)
    table[~wanted] = np.inf
    for row, column in np.argwhere(wanted & np.isinf(table)):
        table[row, column] = score_takes(a[row], b[column], weights, "librosa")
    return table


def _of_like_length(takes: Sequence[TakeFeatures]) -> Iterator[list[int]]:
    """Groups of takes of similar length, since every lane costs as much as the longest."""
    order = sorted(range(len(takes)), key=lambda k: (-len(takes[k].mel), k))
    short = [k for k in order if len(takes[k].mel) <= LONGEST_CELLS]
    for first in range(0, len(short), LANES):
        yield short[first : first + LANES]


def _scores(
    cells: FeatureArray,
    speech: BoolArray,
    lanes: _Lanes,
    takes: Sequence[TakeFeatures],
    weights: AlignSteps,
    room: npt.NDArray[np.uint8],
) -> list[float]:
    """The scores of one take with all takes of the lanes; `room` is the buffer for the steps."""
    n, width = len(cells), len(lanes.cells)
    steps = room[: n * width].reshape(n, width)
    edge = np.full((n, LANES), np.inf, np.float32)
    counts = np.zeros((_BINS, LANES), np.int32)
    costs = [np.float32(weight) for weight in weights.as_tuple()]
    for first in range(0, width, _STRIP * LANES):
        strip = slice(first, first + _STRIP * LANES)
        cosines = cells @ lanes.cells[strip].T
        _advance(cosines, first, edge, steps, *costs)
        spoken = np.flatnonzero(lanes.speech[strip]).astype(np.uint32)
        _count(cosines, speech, spoken, counts)
    found = []
    for lane, member in enumerate(lanes.members):
        other = takes[member].speech
        own, taken = lanes.cells[lane::LANES], steps[:, lane::LANES]
        on_path = _on_path(taken[:, : len(other)], cells, own, speech, other)
        found.append(_score(on_path, counts[:, lane]))
    return found


def _score(on_path: FeatureArray, counts: npt.NDArray[np.int32]) -> float:
    if not on_path.size:
        return UNJUDGED
    return score_of(_upper_quarter(on_path), _lowest_tenth(counts))


@numba.njit(cache=True)
def _advance(
    cosines: npt.NDArray[Any],
    first: int,
    edge: npt.NDArray[Any],
    steps: npt.NDArray[Any],
    diagonal: Any,
    along_b: Any,
    along_a: Any,
) -> None:
    """Run the recurrence of `warping_path.warp` over a strip of all lanes, row by row.

    `edge` (n, LANES) holds the totals of the last cells before the strip; updated in place.
    `steps` (n, m * LANES): 0 diagonal, 1 along b, 2 along a; written from column `first` on.
    """
    n, width = cosines.shape
    # one cell of margin: the previous cell is `LANES` further down
    before = np.full(width + LANES, np.float32(np.inf))
    now = np.empty(width + LANES, np.float32)
    if first == 0:
        before[:LANES] = 0
    for i in range(n):
        now[:LANES] = edge[i]
        taken = steps[i, first : first + width]
        _advance_row(cosines[i], before, now, taken, diagonal, along_b, along_a)
        edge[i] = now[width:]
        before, now = now, before


@numba.njit(cache=True)
def _advance_row(
    cosines: npt.NDArray[Any],
    before: npt.NDArray[Any],
    now: npt.NDArray[Any],
    steps: npt.NDArray[Any],
    diagonal: Any,
    along_b: Any,
    along_a: Any,
) -> None:
    """One row; written so that the compiler can process eight independent lanes at once."""
    for k in range(steps.size):
        d = np.float32(1) - cosines[k]
        d = d if d > np.float32(0) else np.float32(0)
        across = before[k] + diagonal * d
        right = now[k] + along_b * d
        down = before[k + LANES] + along_a * d
        nearer = right if right < across else across
        now[k + LANES] = down if down < nearer else nearer
        beside = np.uint8(1) if right < across else np.uint8(0)
        steps[k] = np.uint8(2) if down < nearer else beside


@numba.njit(cache=True)
def _count(
    cosines: npt.NDArray[Any],
    speech: npt.NDArray[Any],
    spoken: npt.NDArray[Any],
    counts: npt.NDArray[Any],
) -> None:
    """Histogram the distances of cells where both takes speak, per lane."""
    n, width = cosines.shape
    bins = np.empty(width, np.int32)
    for i in range(n):
        if speech[i]:
            _bins_of(cosines[i], bins)
            for q in range(spoken.size):
                k = spoken[q]
                counts[np.uint32(bins[k]), k % np.uint32(LANES)] += 1


@numba.njit(cache=True)
def _bins_of(cosines: npt.NDArray[Any], bins: npt.NDArray[Any]) -> None:
    for k in range(bins.size):
        place = (np.float32(1) - cosines[k]) * np.float32(_BINS / 2)
        place = place if place > np.float32(0) else np.float32(0)
        bins[k] = np.int32(place if place < np.float32(_BINS - 1) else np.float32(_BINS - 1))


@numba.njit(cache=True, fastmath={"reassoc", "contract"})
def _on_path(
    steps: npt.NDArray[Any],
    cells_a: npt.NDArray[Any],
    cells_b: npt.NDArray[Any],
    speech_a: npt.NDArray[Any],
    speech_b: npt.NDArray[Any],
) -> npt.NDArray[Any]:
    """Distances of the cheapest path's cells where both takes speak, in reverse order."""
    i, j = steps.shape[0] - 1, steps.shape[1] - 1
    found = np.empty(i + j + 1, np.float32)
    count = 0
    while True:
        if speech_a[i] and speech_b[j]:
            cosine = np.float32(0)
            for k in range(cells_a.shape[1]):
                cosine += cells_a[i, k] * cells_b[j, k]
            found[count] = max(np.float32(1) - cosine, np.float32(0))
            count += 1
        if i == 0 and j == 0:
            return found[:count]
        taken = steps[i, j]
        if taken != 1:
            i -= 1
        if taken != 2:
            j -= 1


@numba.njit(cache=True)
def _upper_quarter(values: npt.NDArray[Any]) -> float:
    """The 75th percentile, interpolated linearly."""
    ordered = np.sort(values)
    place = 0.75 * (len(ordered) - 1)
    k = int(place)
    after = ordered[min(k + 1, len(ordered) - 1)]
    quarter: float = ordered[k] + (place - k) * (after - ordered[k])
    return quarter


@numba.njit(cache=True)
def _lowest_tenth(counts: npt.NDArray[Any]) -> float:
    """The 10th percentile of a histogram, interpolated linearly within its bin."""
    place = 0.1 * (counts.sum() - 1)
    below, k = 0, 0
    while below + counts[k] <= place:
        below += counts[k]
        k += 1
    tenth: float = (k + (place - below + 0.5) / counts[k]) * 2 / _BINS
    return tenth
