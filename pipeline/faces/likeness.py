"""Whether takes show one person: small grey views of the face, compared and grouped.

Landmarks cannot tell: after the pose is removed, takes of one person differ by up to 0.026 of the
eye distance and takes of two people by as little as 0.020 (27 real takes of seven speakers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.faces.affine import F64, STABLE, linear_fit
from pipeline.faces.expression import landmarks_of
from pipeline.faces.sampling import U8, sample

VIEW_PX = 24
_BLUR_PX = 0.7
_EYES_PX = 0.34 * VIEW_PX
_CENTRE_PX = (0.5 * VIEW_PX, 0.48 * VIEW_PX)
"""Between the eyes, which are level: the view reaches from the hairline to the chin."""


def view(crop: U8, points: F64) -> F64 | None:
    """The aligned face as grey levels (VIEW_PX, VIEW_PX); None if nothing aligns the points.

    Parameters
    ----------
    crop
        (h, w, 3) RGB.
    points
        (478, 2 or more) landmarks in the crop's pixels.
    """
    face = landmarks_of("stable", "solve")
    rest = np.array([face.rest[face.indices.index(i)] for i in STABLE]) * _EYES_PX + _CENTRE_PX
    stable = points[None, list(STABLE), :2]
    matrix = linear_fit(stable, rest[None], np.ones(stable.shape[:2]), np.inf)[0]
    if not np.isfinite(matrix).all():
        return None
    grey = cv2.cvtColor(sample(crop, matrix, VIEW_PX), cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, dtype=np.float64)


def portrait(views: Sequence[F64]) -> F64:
    """The median of a take's views inside the face without the mouth, mean 0 and deviation 1."""
    median = cv2.GaussianBlur(np.median(views, axis=0), (0, 0), _BLUR_PX)[_MASK]
    return np.asarray((median - median.mean()) / max(float(median.std()), 1.0))


def difference(one: F64, other: F64) -> float:
    """Root mean square difference of two portraits; 1.41 where nothing correlates."""
    return float(np.sqrt(np.mean((one - other) ** 2)))


def groups(portraits: Mapping[str, F64], limit: float) -> dict[str, int]:
    """The group of each take: single linkage of differences up to `limit`.

    Takes of one person form a chain from calm to extreme, although its ends may differ by more
    than two people do. Groups are numbered by their first take.
    """
    left = sorted(portraits)
    group: dict[str, int] = {}
    n = 0
    while left:
        pending = [left.pop(0)]
        while pending:
            name = pending.pop()
            group[name] = n
            near = [k for k in left if difference(portraits[name], portraits[k]) <= limit]
            left = [k for k in left if k not in near]
            pending += near
        n += 1
    return group


def _mask() -> NDArray[np.bool_]:
    y, x = (np.mgrid[0:VIEW_PX, 0:VIEW_PX] + 0.5) / VIEW_PX - 0.5
    face = (x / 0.36) ** 2 + ((y - 0.02) / 0.42) ** 2 < 1
    mouth = (y > 0.16) & (np.abs(x) < 0.2)
    return np.asarray(face & ~mouth)


_MASK = _mask()
