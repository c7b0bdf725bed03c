"""The map that takes one face onto another: 2x3 matrices from landmarks, one a frame pair.

Points are pixel-edge coordinates: pixel i covers [i, i + 1). A matrix maps (x, y) to
``matrix[:, :2] @ (x, y) + matrix[:, 2]``. All works on stacks: leading dimensions are frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Method = Literal["affine", "affine_robust", "similarity"]

EYE_CORNERS = (33, 133, 362, 263)
"""Outer and inner corner of the eye at the picture's left, inner and outer of the other."""
NOSE_BRIDGE = (6, 197, 195)
"""Not 168 between the brows, which a frown pulls down, and not the tip, which disgust lifts."""
TEMPLES = (127, 162, 234, 356, 389, 454)
"""The rim of the face from the brow's height down to the ear, left then right.

Not 21 and 251 above them, which raised brows lift, nor what lies below, which speech moves.
"""
HAIRLINE = (10, 109, 338)
"""The top of the forehead, above what the brows move."""
STABLE = tuple(sorted(EYE_CORNERS + NOSE_BRIDGE + TEMPLES + HAIRLINE))
"""What neither speech nor expression moves (MediaPipe's numbering): no mouth, jaw, brows, lids."""
STABLE_WEIGHTS = tuple(3.0 if i in NOSE_BRIDGE else 1.0 for i in STABLE)
"""The bridge weighs three times, so that depth goes with neither width nor height of the set.

A flat map sees depth as place: where the lower points are also the nearer ones, a turned head
becomes a sheared face. On the demo, with heads up to 20 degrees apart, all points but the mouth's
then lie .034 eye distances apart in the median and .071 at the 90th percentile; without hairline
and weights it is .049 and .130, for a similarity .041 and .085.
"""
N_MESH = 468
"""Landmarks of the face itself; the ten after them are of the irises and go with the gaze."""

_MIN_SPREAD = 1e-3  # of the points' extent across over along, below which they lie on a line
_MAX_STRETCH = 4.0  # a face that has to grow or shrink by more than this is no match
_TUKEY = 4.685  # 95 % as efficient as least squares on Gaussian noise (Huber 1981)
_RAYLEIGH_MEDIAN = 1.1774  # median of the length of a 2-D Gaussian of unit deviation
_DEPTH = 0.07  # deviation over the radius of the set that depth alone may cause
_REWEIGHTINGS = 10


def landmark_set(name: Literal["stable", "all"]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The indices and weights of a landmark set of the pose section."""
    if name == "stable":
        return STABLE, STABLE_WEIGHTS
    return tuple(range(N_MESH)), (1.0,) * N_MESH


def apply(matrix: F64, points: F64) -> F64:
    """Map points (..., n, 2) by matrices (..., 2, 3)."""
    return np.asarray(points @ np.swapaxes(matrix[..., :2], -1, -2) + matrix[..., None, :, 2])


def compose(second: F64, first: F64) -> F64:
    """One matrix (..., 2, 3) that does `first` and then `second`."""
    linear = second[..., :2] @ first[..., :2]
    shift = second[..., :2] @ first[..., 2:] + second[..., 2:]
    return np.concatenate([linear, shift], axis=-1)


def invert(matrix: F64) -> F64:
    """The matrices (..., 2, 3) that undo `matrix`."""
    # Written out: numpy's solver for a two-by-two matrix costs more than sampling a picture.
    a, b, c, d = (matrix[..., i, j] for i in (0, 1) for j in (0, 1))
    adjugate = np.stack([np.stack([d, -b], axis=-1), np.stack([-c, a], axis=-1)], axis=-2)
    linear = adjugate / (a * d - b * c)[..., None, None]
    return np.concatenate([linear, -linear @ matrix[..., 2:]], axis=-1)


def fit(
    method: Method,
    points_b: F64,
    points_a: F64,
    times_s: F64 | None = None,
    smooth_s: float = 0.0,
    weights: Sequence[float] | None = None,
) -> F64:
    """The matrix of each frame pair that takes b's points onto a's.

    `affine` is the least-squares affine of ASCCL 4.1. `affine_robust` gives points that a turned
    head cannot explain less weight, down to none (Tukey). `similarity` is rotation, scale and shift
    alone (Umeyama 1991, closed form in the plane).

    Parameters
    ----------
    points_b, points_a
        (n, p, 2) the same landmarks of both frames, p >= 3.
    times_s, smooth_s
        With `smooth_s` > 0 each fit also uses the neighbours in time (n,), weighted by a Gaussian
        of that full width at half maximum: noise falls, and so does the truth of fast turns.
    weights
        (p,) of the landmarks; None weighs all alike.

    Returns
    -------
    (n, 2, 3); NaN where the points lie on a line, mirror, or stretch by more than four.
    """
    per_point = np.ones(points_b.shape[1]) if weights is None else np.array(weights)
    share = np.broadcast_to(per_point, points_b.shape[:2])
    origin_b, origin_a = points_b.mean(axis=(0, 1)), points_a.mean(axis=(0, 1))
    b, a = points_b - origin_b, points_a - origin_a
    if method == "affine_robust":
        share = share * robust_weights(b, a, per_point)
    moments = _moments(b, a, share)
    if smooth_s > 0 and times_s is not None:
        moments = _smoothed(moments, times_s, smooth_s)
    local = _solve("similarity" if method == "similarity" else "affine", moments)
    shift = origin_a + local[..., 2] - local[..., :2] @ origin_b
    return np.concatenate([local[..., :2], shift[..., None]], axis=-1)


def residual(matrix: F64, points_b: F64, points_a: F64) -> F64:
    """Root mean square distance (n,) of mapped points (n, p, 2) to their partners, in pixels."""
    gap = apply(matrix, points_b) - points_a
    return np.asarray(np.sqrt((gap**2).sum(axis=-1).mean(axis=-1)))


def robust_weights(points_b: F64, points_a: F64, weights: F64) -> F64:
    """Tukey weights (n, p) in 0..1 of each point, to be multiplied with its own weight (p,).

    Begins at the similarity of least absolute distances, which one far point cannot tilt.
    """
    centred = points_a - points_a.mean(axis=1, keepdims=True)
    radius = np.sqrt((centred**2).sum(axis=-1).mean(axis=-1))[:, None]
    found = np.ones(points_b.shape[:2])
    for _ in range(_REWEIGHTINGS):
        lengths = _distances("similarity", points_b, points_a, found * weights)
        found = radius / np.maximum(lengths, 1e-3 * radius)
    for _ in range(_REWEIGHTINGS):
        deviation = np.median(lengths, axis=1, keepdims=True) / _RAYLEIGH_MEDIAN
        limit = _TUKEY * np.maximum(deviation, _DEPTH * radius)
        found = np.clip(1 - (lengths / limit) ** 2, 0, None) ** 2
        lengths = _distances("affine", points_b, points_a, found * weights)
    return np.asarray(found)


def _distances(method: Literal["affine", "similarity"], b: F64, a: F64, weights: F64) -> F64:
    """How far (n, p) points stay from their partners; 0 where no map is fixed."""
    matrix = _solve(method, _moments(b, a, weights))
    lengths = np.linalg.norm(apply(matrix, b) - a, axis=-1)
    return np.asarray(np.nan_to_num(lengths, nan=0.0))


def _moments(b: F64, a: F64, w: F64) -> F64:
    """(n, 13) weighted sums a frame: 1, b (2), a (2), b b^T (4), a b^T (4)."""
    parts = [
        w.sum(axis=1, keepdims=True),
        np.einsum("np,npi->ni", w, b),
        np.einsum("np,npi->ni", w, a),
        np.einsum("np,npi,npj->nij", w, b, b).reshape(len(b), 4),
        np.einsum("np,npi,npj->nij", w, a, b).reshape(len(b), 4),
    ]
    return np.concatenate(parts, axis=1)


def _smoothed(moments: F64, times_s: F64, width_s: float) -> F64:
    sigma_s = width_s / 2.3548
    total = moments.copy()
    for step in range(1, len(times_s)):
        gap_s = times_s[step:] - times_s[:-step]
        if gap_s.min() > 3 * sigma_s:
            break
        weight = (np.exp(-0.5 * (gap_s / sigma_s) ** 2) * (gap_s <= 3 * sigma_s))[:, None]
        total[step:] += weight * moments[:-step]
        total[:-step] += weight * moments[step:]
    return total


def _solve(method: Literal["affine", "similarity"], moments: F64) -> F64:
    """(n, 2, 3) the matrices that weighted sums ask for, NaN where they do not fix one."""
    n = len(moments)
    total = np.maximum(moments[:, :1], 1e-12)
    mean_b, mean_a = moments[:, 1:3] / total, moments[:, 3:5] / total
    bb = moments[:, 5:9].reshape(n, 2, 2) / total[..., None] - mean_b[:, :, None] * mean_b[:, None]
    ab = moments[:, 9:13].reshape(n, 2, 2) / total[..., None] - mean_a[:, :, None] * mean_b[:, None]
    spread = np.linalg.eigvalsh(bb)
    good = spread[:, 0] > _MIN_SPREAD**2 * np.maximum(spread[:, 1], 1e-12)
    if method == "similarity":
        trace = np.where(good, np.trace(bb, axis1=1, axis2=2), 1.0)
        cos, sin = (ab[:, 0, 0] + ab[:, 1, 1]) / trace, (ab[:, 1, 0] - ab[:, 0, 1]) / trace
        linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], axis=1)
    else:
        linear = ab @ np.linalg.inv(np.where(good[:, None, None], bb, np.eye(2)))
    stretch = np.linalg.svd(linear, compute_uv=False)
    good &= (stretch[:, 0] < _MAX_STRETCH) & (stretch[:, 1] > 1 / _MAX_STRETCH)
    good &= np.linalg.det(linear) > 0
    shift = mean_a - np.einsum("nij,nj->ni", linear, mean_b)
    matrix = np.concatenate([linear, shift[..., None]], axis=-1)
    matrix[~good] = np.nan
    return np.asarray(matrix)
