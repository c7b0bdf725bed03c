"""The mouth in an image: opening, width and corners, by two measurers that share no model.

The measurer that calibrates a direction must not judge it. `Judge` uses the refined mesh, like
extract. `Calibrator` uses the plain mesh, whose lips come from another network. Used directly, its
lips confuse smiles with open mouths (drawn heads: opening .07 to .12 eye distances too large), so a
readout is fitted on frames of all emotions (`stylegan.mouth.readout`). On unseen drawn heads it
agrees with the truth at r = .98, as the judge does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.faces.measures import INNER_LIPS, MOUTH_CORNERS, OUTER_EYE_CORNERS
from pipeline.faces.mesh import MeshTracker

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

MEASURES = ("mouth_open", "mouth_width", "mouth_corner")
LIPS = (
    0, 13, 14, 17, 37, 39, 40, 61, 78, 80, 81, 82, 84, 87, 88, 91, 95, 146, 178, 181, 185, 191,
    267, 269, 270, 291, 308, 310, 311, 312, 314, 317, 318, 321, 324, 375, 402, 405, 409, 415,
)  # fmt: skip
"""The outer and inner contours of the lips."""
_UPPER_LIP = 13
_LEAST_PX = 256  # opening measured at 128 px correlates with that at 256 px at r = .98


def mouth_of(landmarks: F64) -> F64:
    """Opening, width and corner height (3,) in units of the distance of the outer eye corners.

    The corner height is measured from the middle of the upper lip along the face's upward
    direction: a smile raises it, a sad mouth lowers it.

    Parameters
    ----------
    landmarks
        (468 or more, >= 2) in pixels.
    """
    points = landmarks[:, :2]
    left, right = points[list(OUTER_EYE_CORNERS)]
    across = right - left
    span = max(float(np.hypot(*across)), 1e-6)
    up = np.array([across[1], -across[0]]) / span
    opening = np.mean([np.hypot(*(points[low] - points[high])) for high, low in INNER_LIPS])
    one, other = points[list(MOUTH_CORNERS)]
    corner = float(((one + other) / 2 - points[_UPPER_LIP]) @ up)
    return np.array([opening, np.hypot(*(other - one)), corner]) / span


def lips_of(landmarks: F64) -> F64:
    """The lip points (80,) in coordinates with the outer eye corners at (-1/2, 0) and (1/2, 0)."""
    points = landmarks[:, :2]
    left, right = points[list(OUTER_EYE_CORNERS)]
    across = right - left
    near = (points[list(LIPS)] - (left + right) / 2) / max(float(across @ across), 1e-12)
    return np.concatenate([near @ across, near @ (-across[1], across[0])])


class _Measurer:
    """Measures images one by one, independently of earlier ones."""

    def __init__(self, refined: bool, read: Callable[[F64], F64], length: int) -> None:
        self._tracker = MeshTracker(refined=refined)
        self._read, self._length = read, length

    def __call__(self, images: Sequence[U8]) -> F64:
        """Measurements (n, length) of images (s, s, 3) RGB with one face; NaN without a face."""
        return np.array([self._one(image) for image in images]).reshape(-1, self._length)

    def _one(self, image: U8) -> F64:
        self._tracker.restart()
        landmarks = self._tracker.track(_large(image))
        return np.full(self._length, np.nan) if landmarks is None else self._read(landmarks)


class Judge(_Measurer):
    """The refined mesh: `MEASURES` as stored; decides which families are kept."""

    def __init__(self) -> None:
        super().__init__(refined=True, read=mouth_of, length=len(MEASURES))


class Calibrator(_Measurer):
    """The plain mesh: lip points, from which a readout derives changes of the mouth."""

    def __init__(self) -> None:
        super().__init__(refined=False, read=lips_of, length=2 * len(LIPS))


def _large(image: U8) -> U8:
    side = image.shape[0]
    if side >= _LEAST_PX:
        return image
    large = cv2.resize(image, (_LEAST_PX, _LEAST_PX), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, dtype=np.uint8)
