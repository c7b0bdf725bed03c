"""Whether something comes before the mouth: the skin around it against that of the whole take."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

_AROUND_MOUTH = (
    164, 2, 97, 326, 167, 393, 92, 322, 165, 391, 206, 426, 203, 423, 212, 432, 202, 422,
    204, 424, 194, 418, 201, 421, 200, 18, 313, 83, 182, 406, 199, 208, 428, 211, 431, 214,
    434, 207, 427, 216, 436, 57, 287, 43, 273, 106, 335,
)  # fmt: skip
AROUND_MOUTH = np.array(_AROUND_MOUTH)
"""Below the nose, beside and below the lips, chin: what moves with the jaw but keeps its colour."""

_SHRINK = 4  # colours of single pixels are noise
_OTHER_LEVELS = 22.0
"""No frame of 37 takes, real and drawn, has more. Made covers on the same takes: four fingers are
seen in 35, a dark ball in 36, a smooth patch of the take's own skin in 25."""


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
    """How far the skin of each frame (n, 47, 3) is from the take's: the third quartile of its
    points' distances from their medians over the take, in levels of CIE Lab (eight bits).
    """
    lab = cv2.cvtColor(skins, cv2.COLOR_RGB2LAB).astype(np.float64)
    away = np.linalg.norm(lab - np.median(lab, axis=0), axis=2)
    return np.asarray(np.percentile(away, 75, axis=1), dtype=np.float64)


def is_covered(skins: U8) -> NDArray[np.bool_]:
    """Whether the mouth's surroundings look otherwise than in most of the take, a frame each.

    What is there most of the time is not seen, and a flash of light is taken for a cover.
    """
    return otherness(skins) > _OTHER_LEVELS
