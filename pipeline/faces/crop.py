"""The stored crop: one square for a whole take, around the head, and whether it held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.media import Box

FaceBox = tuple[float, float, float, float]
"""Left, top, right, bottom of the landmarks in the full frame."""

_RAISED = 0.05  # the landmarks end at the hairline: a head's middle lies above a face's
_CLEAR = 0.15
_ROOM = 0.3  # more than _CLEAR and _RAISED: a face cut by the border reads smaller than it is


@dataclass(frozen=True)
class Square:
    """[x, x + side) x [y, y + side) of the full frame, stored at `stored_px` a side."""

    x: int
    y: int
    side: int
    stored_px: int

    @property
    def box(self) -> Box:
        """The square as a box of pixels."""
        return Box(self.x, self.y, self.side, self.side)

    @property
    def scale(self) -> float:
        """Full-frame pixels a stored pixel."""
        return self.side / self.stored_px

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (n, 2 or more) of the full frame in stored pixels, x and y alone."""
        return np.asarray((points[:, :2] - (self.x, self.y)) / self.scale, dtype=np.float64)

    def holds(self, face: FaceBox) -> bool:
        """Whether a face lies inside with `_CLEAR` of its size around it."""
        clear = _CLEAR * size_of(face)
        left, top, right, bottom = face
        return (
            left - clear >= self.x
            and top - clear >= self.y
            and right + clear <= self.x + self.side
            and bottom + clear <= self.y + self.side
        )


def size_of(face: FaceBox) -> float:
    """The larger side of a face's box."""
    return max(face[2] - face[0], face[3] - face[1])


def square_for(faces: Sequence[FaceBox], margin: float, max_px: int) -> Square:
    """The square that holds all faces: `margin` times a face, or wide enough for the way it goes.

    Parameters
    ----------
    margin
        Side over the larger side of the median face.
    max_px
        The stored side, at most; it is never enlarged.
    """
    boxes = np.asarray(faces, dtype=np.float64)
    size = float(np.median(np.max(boxes[:, 2:] - boxes[:, :2], axis=1)))
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    path = float(np.max(high - low))
    side = max(margin * size, path + 2 * _ROOM * size)
    x, y = (low + high) / 2 - (0.0, _RAISED * size)
    box = Box.square(float(x), float(y), side)
    return Square(box.x, box.y, box.width, min(max_px, box.width))
