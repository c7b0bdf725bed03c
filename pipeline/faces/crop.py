"""The stored crop: one square around the head for a whole take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.media import Box

FaceBox = tuple[float, float, float, float]
"""Left, top, right, bottom of the landmarks in the full frame."""

_RAISED = 0.05  # the landmarks end at the hairline, so a head's centre is above a face's
_CLEAR = 0.15
_ROOM = 0.3  # more than _CLEAR and _RAISED: a face cut off by the border seems smaller than it is


@dataclass(frozen=True)
class Square:
    """[x, x + side) x [y, y + side) of the full frame, stored with `stored_px` pixels per side."""

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
        """Full-frame pixels per stored pixel."""
        return self.side / self.stored_px

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """x and y of full-frame points (n, 2 or more) in stored pixels."""
        return np.asarray((points[:, :2] - (self.x, self.y)) / self.scale, dtype=np.float64)

    def holds(self, face: FaceBox) -> bool:
        """Whether a face is inside with a margin of `_CLEAR` of its size."""
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
    """The square that contains all faces: `margin` times a face, or wide enough for its path.

    Parameters
    ----------
    margin
        Side over the larger side of the median face.
    max_px
        The largest stored side; crops are never enlarged.
    """
    boxes = np.asarray(faces, dtype=np.float64)
    size = float(np.median(np.max(boxes[:, 2:] - boxes[:, :2], axis=1)))
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    path = float(np.max(high - low))
    side = max(margin * size, path + 2 * _ROOM * size)
    x, y = (low + high) / 2 - (0.0, _RAISED * size)
    box = Box.square(float(x), float(y), side)
    return Square(box.x, box.y, box.width, min(max_px, box.width))
