"""Which pixels of a framed picture the camera saw; the others are mirrored content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def covered(matrix: Sequence[float], valid: Sequence[float], size_px: int) -> NDArray[np.bool_]:
    """The mask (size_px, size_px) of a framed picture: True where its frame is known.

    Parameters
    ----------
    matrix
        2x3 by rows from the full frame to the picture: `frame_to_source` or `frame_to_target`.
    valid
        Left, top, right, bottom of what is known of the frame: `valid_a` or `valid_b`.
    """
    linear = np.array(matrix, dtype=np.float64).reshape(2, 3)
    inverse = np.linalg.inv(linear[:, :2])
    middles = np.arange(size_px) + 0.5
    shift = inverse @ linear[:, 2]
    x = inverse[0, 0] * middles + inverse[0, 1] * middles[:, None] - shift[0]
    y = inverse[1, 0] * middles + inverse[1, 1] * middles[:, None] - shift[1]
    left, top, right, bottom = valid
    return np.asarray((x >= left) & (x < right) & (y >= top) & (y < bottom))
