"""Estimate how brows and jaw move the landmark model's stable points, together with the map.

The model treats the mesh as one surface: raised brows lift hairline, temples and eye corners that
do not move, and an open jaw pulls the temples down. The displacements were measured on rendered
heads of fourteen identities (`benchmarks/pose_directions.py`, none of them in the demo) and are
stored in `expression.json`. For each frame pair, ridge regression estimates the strength of each
movement together with the map. Their effect is subtracted before the map is fitted. The brow points
take part in the regression only.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import numpy as np

from pipeline.faces.affine import (
    EYE_CORNERS,
    F64,
    HAIRLINE,
    N_MESH,
    NOSE_BRIDGE,
    STABLE,
    STABLE_WEIGHTS,
    TEMPLES,
    Method,
    fit,
    linear_fit,
)

BROWS = (8, 9, 63, 66, 70, 105, 107, 293, 296, 300, 334, 336)
"""Both brows and the skin between them, used to estimate the movements."""
WITNESSED = tuple(sorted(STABLE + BROWS))
_WEIGHTS = (
    (EYE_CORNERS, 2.0), (NOSE_BRIDGE, 3.0), (TEMPLES, 0.3), (HAIRLINE, 0.5), (BROWS, 0.3),
)  # fmt: skip
MOVEMENTS = {"brows raised": 1e-3, "brows drawn": 1e-3, "jaw open": 3e-3}
"""Ridge penalties of a movement at full strength, relative to weighted squared distances in eye
distances. The jaw's is larger because only the rim shows it: real takes jitter more with a smaller
one (docs/pose.md)."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The landmarks that are fitted.

    Attributes
    ----------
    indices, weights
        (p,) MediaPipe's numbers and their weights.
    rest, movements
        (p, 2) the points at rest and (k, p, 2) their displacement by each movement, in eye
        distances and aligned with the eyes; no movement with `expression: ignore`.
    costs
        (k,) of `MOVEMENTS`.
    """

    indices: tuple[int, ...]
    weights: tuple[float, ...]
    rest: F64
    movements: F64
    costs: F64


@lru_cache(maxsize=4)
def landmarks_of(
    landmarks: Literal["stable", "all"], expression: Literal["solve", "ignore"]
) -> Landmarks:
    """The landmarks, weights and movements of the section `pose`."""
    if landmarks == "all":
        every = tuple(range(N_MESH))
        return _plain(every, (1.0,) * N_MESH)
    if expression == "ignore":
        return _plain(STABLE, STABLE_WEIGHTS)
    asset = json.loads((files(__package__) / "expression.json").read_text(encoding="utf-8"))
    weights = tuple(next(w for some, w in _WEIGHTS if i in some) for i in WITNESSED)
    return Landmarks(
        WITNESSED,
        weights,
        np.array([asset["rest"][str(i)] for i in WITNESSED]),
        np.array([[asset[name][str(i)] for i in WITNESSED] for name in MOVEMENTS]),
        np.array(list(MOVEMENTS.values())),
    )


def movements_sha256() -> str:
    """Digest of the asset, for the keys of results that depend on it."""
    return hashlib.sha256((files(__package__) / "expression.json").read_bytes()).hexdigest()


def _plain(indices: tuple[int, ...], weights: tuple[float, ...]) -> Landmarks:
    n = len(indices)
    return Landmarks(indices, weights, np.zeros((n, 2)), np.zeros((0, n, 2)), np.zeros(0))


def fit_faces(
    method: Method,
    points_b: F64,
    points_a: F64,
    landmarks: Landmarks,
    times_s: F64 | None = None,
    smooth_s: float = 0.0,
    shear_prior: float = 0.0,
) -> F64:
    """`affine.fit`, after removing the effect of brows and jaw from a's points."""
    calm = without_expression(points_b, points_a, landmarks, shear_prior)
    return fit(method, points_b, calm, times_s, smooth_s, landmarks.weights, shear_prior)


def without_expression(b: F64, a: F64, landmarks: Landmarks, shear_prior: float) -> F64:
    """a's points (n, p, 2) as they would be if both faces had the same expression.

    With the map profiled out, `r(x)` is the residual of the best map from b to x, linear in x;
    the strengths e minimise |r(a + sum e_k D_k)|^2 + sum cost_k e_k^2, D_k being movement k as a
    shows it.
    """
    if len(landmarks.movements) == 0 or len(b) == 0:
        return a
    weights = np.array(landmarks.weights)
    rest, shares = np.broadcast_to(landmarks.rest, a.shape), np.broadcast_to(weights, a.shape[:2])
    laid = linear_fit(rest, a, shares, np.inf)[..., :2]
    shown = np.einsum("nij,kpj->nkpi", laid, landmarks.movements)
    unit = np.maximum(np.abs(np.linalg.det(laid)), 1e-12)[:, None]
    left = np.stack([_left(b, shown[:, k], weights, shear_prior) for k in range(shown.shape[1])], 1)
    weighted = shown * weights[:, None]
    gram = np.einsum("nkpi,nlpi->nkl", weighted, left) / unit[..., None]
    pull = np.einsum("nkpi,npi->nk", weighted, _left(b, a, weights, shear_prior)) / unit
    solvable = np.isfinite(gram).all((1, 2)) & np.isfinite(pull).all(1)
    gram, pull = (
        np.where(solvable[:, None, None], gram, 0.0),
        np.where(solvable[:, None], pull, 0.0),
    )
    strength = np.linalg.solve(gram + np.diag(landmarks.costs), -pull[..., None])[..., 0]
    return np.asarray(a + np.einsum("nk,nkpi->npi", strength, shown))


def _left(b: F64, targets: F64, weights: F64, shear_prior: float) -> F64:
    """The residual (n, p, 2) of the best map from b to the targets."""
    matrix = linear_fit(b, targets, np.broadcast_to(weights, b.shape[:2]), shear_prior)
    return np.asarray(targets - b @ np.swapaxes(matrix[..., :2], -1, -2) - matrix[:, None, :, 2])
