"""Which frames of a take are scored when not all can be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

_MIDDLE = 0.5  # share of a span that is searched: chosen frames keep half a span between them


def choose_frames(found: NDArray[np.bool_], sharpness: F64, budget: int) -> I64:
    """Numbers, increasing, of at most `budget` frames with a face; 0 means all of them.

    The frames with a face are cut into `budget` equal spans and the sharpest of each span's middle
    half is taken: spread over the whole take, as a face rises and falls in it, and no blurred
    frame where a sharp one is beside it.

    Parameters
    ----------
    found
        (n,) whether a face was found.
    sharpness
        (n,) any measure that grows with sharpness; NaN counts as the least sharp.
    """
    numbers = np.flatnonzero(found).astype(np.int64)
    if budget == 0 or len(numbers) <= budget:
        return numbers
    values = np.nan_to_num(sharpness[numbers], nan=-np.inf)
    edges = np.linspace(0, len(numbers), budget + 1)
    chosen = [_sharpest(values, *span) for span in pairwise(edges)]
    return numbers[chosen]


def _sharpest(values: F64, begin: float, end: float) -> int:
    """The place of the largest value in the middle of [begin, end); of equals the first."""
    margin = (end - begin) * (1 - _MIDDLE) / 2
    first = min(int(np.ceil(begin + margin - 0.5)), len(values) - 1)
    last = max(int(np.ceil(end - margin - 0.5)), first + 1)
    return first + int(np.argmax(values[first:last]))
