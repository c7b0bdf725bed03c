"""Whether something covers the mouth: the skin around it, compared with the whole take."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

AROUND_MOUTH = np.array((
    164, 2, 97, 326, 167, 393, 92, 322, 165, 391, 206, 426, 203, 423, 212, 432, 202, 422,
    204, 424, 194, 418, 201, 421, 200, 18, 313, 83, 182, 406, 199, 208, 428, 211, 431, 214,
    434, 207, 427, 216, 436, 57, 287, 43, 273, 106, 335,
))  # fmt: skip
"""Below the nose, around the lips, chin: points that move with the jaw but keep their colour."""

_USUAL = (15.0, 15.0, 0.2)
_SHRINK = 4  # colours of single pixels are noise
_OTHER_LEVELS = 22.0
"""No frame of 37 takes, real and drawn, has more. Covers composited onto the same takes: four
fingers are detected in 35, a dark ball in 36, a smooth patch of the take's own skin in 25."""


def skin_around_mouth(crop: U8, landmarks: F64) -> U8:
    """The colours (47, 3) at `AROUND_MOUTH` of a crop, the landmarks being in its pixels."""
    points = landmarks[AROUND_MOUTH, :2]
    last = np.array(crop.shape[1::-1]) - 1
    low = np.clip(np.floor(points.min(axis=0)), 0, last).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)), low + 1, last + 1).astype(int)
    size = np.maximum(1, (high - low) // _SHRINK)
    part = crop[low[1] : high[1], low[0] : high[0]]
    small = cv2.resize(part, size.tolist(), interpolation=cv2.INTER_AREA)
    x, y = np.clip((points - low) * size / (high - low), 0, size - 1).astype(np.intp).T
    return np.asarray(small[y, x], dtype=np.uint8)


def otherness(skins: U8) -> F64:
    """The colour distance (n,) of each frame's skin (n, 47, 3) from the take's.

    It is the third quartile of the points' distances from their medians over the take, in levels
    of CIE Lab (eight bits).
    """
    lab = cv2.cvtColor(skins, cv2.COLOR_RGB2LAB).astype(np.float64)
    away = np.linalg.norm(lab - np.median(lab, axis=0), axis=2)
    return np.asarray(np.percentile(away, 75, axis=1), dtype=np.float64)


def is_covered(skins: U8, poses: F64) -> NDArray[np.bool_]:
    """Whether the mouth's surroundings look different from most of the take, per frame.

    A cover that is there most of the time is not detected, and a flash of light counts as one. A
    turned head and a wide open mouth change the skin's shading as well, so frames far from the
    take's usual pose are not judged.

    Parameters
    ----------
    skins
        (n, 47, 3), see `skin_around_mouth`.
    poses
        (n, 3): yaw and pitch in degrees, mouth opening in interocular distances.
    """
    usual = np.all(np.abs(poses - np.median(poses, axis=0)) <= _USUAL, axis=1)
    return np.asarray((otherness(skins) > _OTHER_LEVELS) & usual)
