"""Which frames of a take are scored under a budget."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

_MIDDLE = (
    0.5  # share of a span that is searched, so that chosen frames are at least half a span apart
)


def choose_frames(found: NDArray[np.bool_], sharpness: F64, budget: int) -> I64:
    """Increasing numbers of at most `budget` frames with a face; a budget of 0 means all.

    The frames with a face are divided into `budget` equal spans, and the sharpest frame of each
    span's middle half is taken. The frames are thus spread over onset, apex and offset, and blurred
    ones are avoided.

    Parameters
    ----------
    found
        (n,) whether a face was found.
    sharpness
        (n,) any measure that increases with sharpness; NaN counts as the least sharp.
    """
    numbers = np.flatnonzero(found).astype(np.int64)
    if budget == 0 or len(numbers) <= budget:
        return numbers
    values = np.nan_to_num(sharpness[numbers], nan=-np.inf)
    edges = np.linspace(0, len(numbers), budget + 1)
    chosen = [_sharpest(values, *span) for span in pairwise(edges)]
    return numbers[chosen]


def _sharpest(values: F64, begin: float, end: float) -> int:
    """Index of the largest value in the middle of [begin, end); the first of equals."""
    margin = (end - begin) * (1 - _MIDDLE) / 2
    first = min(int(np.ceil(begin + margin - 0.5)), len(values) - 1)
    last = max(int(np.ceil(end - margin - 0.5)), first + 1)
    return first + int(np.argmax(values[first:last]))
