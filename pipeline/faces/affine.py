"""Fit the map from one face to another: one 2x3 matrix per frame pair, from landmarks.

Points are pixel-edge coordinates: pixel i covers [i, i + 1). A matrix maps (x, y) to
``matrix[:, :2] @ (x, y) + matrix[:, 2]``. Leading dimensions are frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Method = Literal["affine", "affine_robust", "similarity"]

EYE_CORNERS = (33, 133, 362, 263)
"""Outer and inner corner of the eye on the image's left, inner and outer of the other."""
NOSE_BRIDGE = (6, 197, 195)
"""Without 168 between the brows, which a frown pulls down, and the tip, which disgust lifts."""
TEMPLES = (127, 162, 234, 356, 389, 454)
"""The rim of the face from the brow's height down to the ear, left then right.

Without 21 and 251 above them, which raised brows lift, and the points below, which speech moves.
"""
HAIRLINE = (10, 109, 338)
"""The top of the forehead, above the points that the brows move."""
STABLE = tuple(sorted(EYE_CORNERS + NOSE_BRIDGE + TEMPLES + HAIRLINE))
"""Points that neither speech nor expression moves, in MediaPipe's numbering."""
_WEIGHTS = ((EYE_CORNERS, 2.0), (NOSE_BRIDGE, 3.0), (TEMPLES, 0.5), (HAIRLINE, 0.5))
STABLE_WEIGHTS = tuple(next(w for some, w in _WEIGHTS if i in some) for i in STABLE)
"""Weights, chosen by the model's accuracy at each point and so that depth does not bias the map.

A flat map confuses depth with position. The temples are half an eye distance farther back than the
eyes: with these weights the set is nearly as deep as the face between them, so a turned head is
aligned by its face and not by its rim. The model also moves poorly visible points with the brows
and the jaw: hairline and temples by 0.019 of the eye distance between emotions, eye corners by
0.007.
"""
N_MESH = 468
"""Landmarks of the face itself; the ten after them are of the irises and follow the gaze."""

_MIN_SPREAD = 1e-3  # ratio of the points' extents, below which they are on a line
_MAX_STRETCH = 4.0  # a face scaled by more than this is not a match
_TUKEY = 4.685  # 95 % as efficient as least squares on Gaussian noise (Huber 1981)
_RAYLEIGH_MEDIAN = 1.1774  # median length of a 2-D Gaussian vector of unit deviation
_DEPTH = 0.15  # deviation caused by depth in heads 20 degrees apart, relative to the set's radius
_REWEIGHTINGS = 10


def apply(matrix: F64, points: F64) -> F64:
    """Map points (..., n, 2) by matrices (..., 2, 3)."""
    return np.asarray(points @ np.swapaxes(matrix[..., :2], -1, -2) + matrix[..., None, :, 2])


def compose(second: F64, first: F64) -> F64:
    """The matrix (..., 2, 3) that applies `first` and then `second`."""
    linear = second[..., :2] @ first[..., :2]
    shift = second[..., :2] @ first[..., 2:] + second[..., 2:]
    return np.concatenate([linear, shift], axis=-1)


def invert(matrix: F64) -> F64:
    """The inverse matrices (..., 2, 3)."""
    # Written out, because numpy's solver for 2x2 matrices takes longer than sampling an image.
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
    shear_prior: float = 0.0,
) -> F64:
    """The matrix of each frame pair that maps b's points to a's.

    `affine` is the least-squares affine of ASCCL 4.1. `affine_robust` gives less weight, down to
    none, to points that a turned head cannot explain (Tukey). `similarity` is rotation, scale and
    shift alone (Umeyama 1991, closed form in the plane).

    Parameters
    ----------
    points_b, points_a
        (n, p, 2) the same landmarks of both frames, p >= 3.
    times_s, smooth_s
        With `smooth_s` > 0 each matrix becomes the value at its instant of the straight line
        through its neighbours in time, weighted by a Gaussian of that full width at half maximum.
        (n, k): the instants of the frames in k takes, each strictly increasing; two frame pairs
        are as far apart as in that take where they are furthest. Straight lines keep steady
        motion even at gaps and ends, where the neighbours lie to one side.
    weights
        (p,) of the landmarks; None: equal weights.
    shear_prior
        Shrinks the affine's shear and anisotropic scale: for a set as wide as it is high they are
        divided by 1 + `shear_prior` (ridge regression on them alone). 0 is plain
        least squares, infinity the similarity.

    Returns
    -------
    (n, 2, 3); NaN where the points are on a line, or the map mirrors or stretches by more than
    four.
    """
    prior = np.inf if method == "similarity" else shear_prior
    per_point = np.ones(points_b.shape[1]) if weights is None else np.array(weights)
    share = np.broadcast_to(per_point, points_b.shape[:2])
    origin_b, origin_a = points_b.mean(axis=(0, 1)), points_a.mean(axis=(0, 1))
    b, a = points_b - origin_b, points_a - origin_a
    if method == "affine_robust":
        share = share * robust_weights(b, a, per_point, prior)
    local = _solve(b, a, share, prior)
    if smooth_s > 0 and times_s is not None:
        local = _smoothed(local, times_s, smooth_s)
    shift = origin_a + local[..., 2] - local[..., :2] @ origin_b
    return np.concatenate([local[..., :2], shift[..., None]], axis=-1)


def residual(matrix: F64, points_b: F64, points_a: F64) -> F64:
    """Root mean square distance (n,) of mapped points (n, p, 2) to their partners, in pixels."""
    gap = apply(matrix, points_b) - points_a
    return np.asarray(np.sqrt((gap**2).sum(axis=-1).mean(axis=-1)))


def robust_weights(points_b: F64, points_a: F64, weights: F64, shear_prior: float = 0.0) -> F64:
    """Tukey weights (n, p) in 0..1 of each point, to be multiplied by its own weight (p,).

    Starts from the similarity of least absolute distances, which one outlier cannot tilt.
    """
    centred = points_a - points_a.mean(axis=1, keepdims=True)
    radius = np.sqrt((centred**2).sum(axis=-1).mean(axis=-1))[:, None]
    found = np.ones(points_b.shape[:2])
    for _ in range(_REWEIGHTINGS):
        lengths = _distances(points_b, points_a, found * weights, np.inf)
        found = radius / np.maximum(lengths, 1e-3 * radius)
    for _ in range(_REWEIGHTINGS):
        deviation = np.median(lengths, axis=1, keepdims=True) / _RAYLEIGH_MEDIAN
        limit = _TUKEY * np.maximum(deviation, _DEPTH * radius)
        found = np.clip(1 - (lengths / limit) ** 2, 0, None) ** 2
        lengths = _distances(points_b, points_a, found * weights, shear_prior)
    return np.asarray(found)


def _distances(b: F64, a: F64, weights: F64, shear_prior: float) -> F64:
    """Distances (n, p) of the mapped points to their partners; 0 where no map is determined."""
    lengths = np.linalg.norm(apply(_solve(b, a, weights, shear_prior), b) - a, axis=-1)
    return np.asarray(np.nan_to_num(lengths, nan=0.0))


def _solve(b: F64, a: F64, weights: F64, shear_prior: float) -> F64:
    """`linear_fit`, NaN where the map mirrors or stretches by more than four."""
    matrix = linear_fit(b, a, weights, shear_prior)
    linear = np.nan_to_num(matrix[..., :2])
    stretch = np.linalg.svd(linear, compute_uv=False)
    good = (stretch[:, 0] < _MAX_STRETCH) & (stretch[:, 1] > 1 / _MAX_STRETCH)
    good &= np.linalg.det(linear) > 0
    matrix[~good] = np.nan
    return matrix


def linear_fit(b: F64, a: F64, weights: F64, shear_prior: float) -> F64:
    """(n, 2, 3) the matrices of (n, p, 2) points weighted by (n, p), NaN where b is on a line.

    The linear part is p I + q J + r K + t L: I and J (a quarter turn) make the similarity, K =
    diag(1, -1) and L (the exchange of x and y) the shear. Least squares with the penalty
    `shear_prior` * trace(cov b) * (r^2 + t^2) is four equations whose matrix is nearly diagonal.
    Linear in `a`.
    """
    total = np.maximum(weights.sum(axis=1), 1e-12)[:, None]
    mean_b, mean_a = (np.einsum("np,npi->ni", weights, points) / total for points in (b, a))
    near_b, near_a = b - mean_b[:, None], a - mean_a[:, None]
    bb = np.einsum("np,npi,npj->nij", weights, near_b, near_b) / total[..., None]
    ab = np.einsum("np,npi,npj->nij", weights, near_a, near_b) / total[..., None]
    spread = np.linalg.eigvalsh(bb)
    good = spread[:, 0] > _MIN_SPREAD**2 * np.maximum(spread[:, 1], 1e-12)
    size = np.where(good, bb[:, 0, 0] + bb[:, 1, 1], 1.0)
    wider, slanted = np.where(good, (bb[:, 0, 0] - bb[:, 1, 1], 2 * bb[:, 0, 1]), 0.0)
    of_i, of_j = ab[:, 0, 0] + ab[:, 1, 1], ab[:, 1, 0] - ab[:, 0, 1]
    of_k, of_l = ab[:, 0, 0] - ab[:, 1, 1], ab[:, 0, 1] + ab[:, 1, 0]
    stiff = size * (1 + shear_prior) - (wider**2 + slanted**2) / size
    r = (of_k - (wider * of_i - slanted * of_j) / size) / stiff
    t = (of_l - (slanted * of_i + wider * of_j) / size) / stiff
    p = (of_i - wider * r - slanted * t) / size
    q = (of_j + slanted * r - wider * t) / size
    linear = np.stack([np.stack([p + r, t - q], -1), np.stack([t + q, p - r], -1)], axis=1)
    shift = mean_a - np.einsum("nij,nj->ni", linear, mean_b)
    matrix = np.concatenate([linear, shift[..., None]], axis=-1)
    matrix[~good] = np.nan
    return np.asarray(matrix)


def _smoothed(matrices: F64, times_s: F64, width_s: float) -> F64:
    """Local linear regression over time; frame pairs without a matrix are left out."""
    sigma_s = width_s / 2.3548
    good = np.isfinite(matrices).all(axis=(1, 2))
    values = np.where(good[:, None], matrices.reshape(-1, 6), 0.0)
    weighed = np.zeros((len(values), 3))  # sums of the weights times the 0th to 2nd power of time
    summed = np.zeros((len(values), 2, 6))

    def add(to: slice, of: slice) -> None:
        away_s = times_s[of] - times_s[to]
        lag_s = away_s[:, 0]
        far_s = np.abs(away_s).max(axis=1)
        weight = np.exp(-0.5 * (far_s / sigma_s) ** 2) * (far_s <= 3 * sigma_s) * good[of]
        weighed[to] += weight[:, None] * lag_s[:, None] ** [0, 1, 2]
        summed[to] += (weight[:, None] * lag_s[:, None] ** [0, 1])[..., None] * values[of, None]

    n = len(values)
    add(slice(0, n), slice(0, n))
    for step in range(1, n):
        if (times_s[step:] - times_s[:-step]).max(axis=1).min() > 3 * sigma_s:
            break
        add(slice(0, n - step), slice(step, n))
        add(slice(step, n), slice(0, n - step))
    s0, s1, s2 = weighed.T
    spread = s0 * s2 - s1**2
    alone = spread <= 1e-9 * (s0 * sigma_s) ** 2
    line = s2[:, None] * summed[:, 0] - s1[:, None] * summed[:, 1]
    mean = summed[:, 0] / np.maximum(s0, 1e-12)[:, None]
    smooth = np.where(alone[:, None], mean, line / np.where(alone, 1.0, spread)[:, None])
    smooth[~good] = np.nan
    return np.asarray(smooth.reshape(-1, 2, 3))
