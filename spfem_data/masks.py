"""Which pixels of a framed image come from the video frame; the others are mirrored content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def valid_mask(matrix: Sequence[float], valid: Sequence[float], size_px: int) -> NDArray[np.bool_]:
    """The mask (size_px, size_px) of a framed image: True where the frame is known.

    Parameters
    ----------
    matrix
        2x3, row by row, from the full frame to the image: `frame_to_source` or `frame_to_target`.
    valid
        Left, top, right, bottom of the known part of the frame: `valid_a` or `valid_b`.
    """
    (a, b, c), (d, e, f) = np.array(matrix, dtype=np.float64).reshape(2, 3).tolist()
    determinant = a * e - b * d
    left, top, right, bottom = valid

    def inside(u: F64, v: F64) -> NDArray[np.bool_]:
        x = (e * (u - c) - b * (v - f)) / determinant
        y = (a * (v - f) - d * (u - c)) / determinant
        return np.asarray((x >= left) & (x < right) & (y >= top) & (y < bottom))

    middles = np.arange(size_px) + 0.5
    ends = middles[[0, -1]]
    if inside(ends[None, :], ends[:, None]).all():  # so are all others: both shapes are convex
        return np.ones((size_px, size_px), dtype=np.bool_)
    return inside(middles[None, :], middles[:, None])
