"""The shape of the head: asset, index lists of the 468-point mesh, and individual faces.

Head coordinates: x to the image's right, y up, z towards the viewer; one unit is the distance of
the outer eye corners (points 33 and 263) of the base head. Point numbers and triangles are those
of MediaPipe Face Mesh, so that its landmarks can be compared directly with the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from pipeline.demo_corpus.truth import N_POINTS

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


OVAL = [
    152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356, 389, 251, 284, 332, 297, 338,
    10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148,
]  # fmt: skip
MOUTH_HOLE = [
    317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191, 78, 95, 88, 178, 87, 14,
]  # fmt: skip
EYE_HOLE_LEFT = [157, 173, 133, 155, 154, 153, 145, 144, 163, 7, 33, 246, 161, 160, 159, 158]

UPPER_INNER = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308]
LOWER_INNER = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308]
UPPER_OUTER = [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291]
LOWER_OUTER = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291]
UPPER_ROWS = [
    UPPER_INNER, UPPER_OUTER,
    [76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306],
    [62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292],
]  # fmt: skip
LOWER_ROWS = [
    LOWER_INNER, LOWER_OUTER,
    [76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306],
    [62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292],
]  # fmt: skip
UPPER_LIP = sorted({i for row in UPPER_ROWS for i in row[1:-1]})
LOWER_LIP = sorted({i for row in LOWER_ROWS for i in row[1:-1]})
LIP_CORNERS = [61, 76, 62, 78, 291, 306, 292, 308]
UPPER_LID = [246, 161, 160, 159, 158, 157, 173]
LOWER_LID = [7, 163, 144, 145, 153, 154, 155]
UPPER_LID_FOLD = [247, 30, 29, 27, 28, 56, 190]
LOWER_LID_FOLD = [25, 110, 24, 23, 22, 26, 112]
EYE_CORNERS = ((33, 133), (263, 362))  # (outer, inner), image-left eye first


@dataclass(frozen=True)
class Asset:
    """The base head, from `head.npz`.

    Attributes
    ----------
    base
        (468, 3) neutral head, mouth closed, symmetric.
    mirror
        (468,) index of each point's mirror image; an involution.
    triangles
        (852, 3), wound so that the front of the face is counter-clockwise (y up).
    """

    base: F64
    mirror: I64
    triangles: I64


@lru_cache(maxsize=1)
def load_asset() -> Asset:
    """Read the head from the package (1/10000 unit as int16)."""
    with (files(__package__) / "head.npz").open("rb") as file, np.load(file) as data:
        return Asset(
            base=data["base_e4"].astype(np.float64) / 1e4,
            mirror=data["mirror"].astype(np.int64),
            triangles=data["triangles"].astype(np.int64),
        )


def mirrored(points: list[int]) -> list[int]:
    """Return the mirror images of the points, in the same order."""
    return [int(i) for i in load_asset().mirror[points]]


def both_sides(points: list[int]) -> list[int]:
    """Return the points and their mirror images, sorted, each once."""
    return sorted(set(points) | set(mirrored(points)))


def symmetrised(field: F64) -> F64:
    """Average a (468, 3) array with its mirror image."""
    mirror = load_asset().mirror
    return np.asarray((field + field[mirror] * [-1.0, 1.0, 1.0]) / 2)


def bump(
    points: F64,
    centre: int,
    sigma: float,
    vector: tuple[float, float, float],
    *,
    only: list[int] | None = None,
    without: list[int] | None = None,
) -> F64:
    """Displacement field of a Gaussian at a point of the image's left half, and its mirror image.

    Parameters
    ----------
    points
        (468, 3) head.
    centre
        Index of the point at the centre.
    sigma
        Width in units.
    vector
        Displacement at the centre; x is mirrored for the other side.
    only, without
        The only points that move; points that do not move.

    Returns
    -------
    (468, 3) displacements.
    """
    other = int(load_asset().mirror[centre])
    field = np.zeros_like(points)
    for index, side in ((centre, 1.0), (other, -1.0)):
        weight = np.exp(-((points - points[index]) ** 2).sum(1) / (2 * sigma * sigma))
        if only is not None:
            weight *= np.isin(np.arange(N_POINTS), only)
        if without is not None:
            weight[without] = 0
        field += weight[:, None] * np.array([vector[0] * side, vector[1], vector[2]])
    return field / 2 if centre == other else field


@dataclass(frozen=True)
class FaceShape:
    """An individual face shape, relative to the base head (in units, or as fractions).

    `width` scales x; `jaw` widens and `chin` lengthens the lower face; the others move the part
    they name (`_x` outwards, `_y` up, `_z` forwards).
    """

    width: float = 1.0
    jaw: float = 0.0
    chin: float = 0.0
    nose_y: float = 0.0
    nose_z: float = 0.0
    nose_width: float = 0.0
    eye_x: float = 0.0
    eye_open: float = 0.0
    mouth_width: float = 0.0
    lip_fullness: float = 0.0
    cheek: float = 0.0
    brow_y: float = 0.0
    brow_z: float = 0.0


def face_points(shape: FaceShape) -> F64:
    """Return the (468, 3) neutral face of a person."""
    points = load_asset().base.copy()
    points[:, 0] *= shape.width
    low = np.clip((-0.3 - points[:, 1]) / 0.8, 0, 1)
    points[:, 0] *= 1 + shape.jaw * low
    points[:, 1] -= shape.chin * low**1.5
    points += bump(points, 4, 0.16, (0, shape.nose_y, shape.nose_z))
    points += bump(points, 129, 0.10, (-shape.nose_width, 0, 0))
    points += bump(points, 159, 0.17, (-shape.eye_x, 0, 0))
    for outer, lids in ((33, UPPER_LID + LOWER_LID), (263, mirrored(UPPER_LID + LOWER_LID))):
        points[lids, 1] += (points[lids, 1] - points[outer, 1]) * shape.eye_open
    lips = UPPER_LIP + LOWER_LIP + LIP_CORNERS
    middle_y = points[13, 1]
    points[lips, 0] *= 1 + shape.mouth_width
    points[lips, 1] = middle_y + (points[lips, 1] - middle_y) * (1 + shape.lip_fullness)
    points += bump(points, 50, 0.2, (-shape.cheek, 0, shape.cheek * 0.6))
    points += bump(points, 105, 0.15, (0, shape.brow_y, shape.brow_z))
    return symmetrised(points)
