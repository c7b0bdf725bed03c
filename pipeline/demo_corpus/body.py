"""The mesh of a person: face, skull, hair, ears, neck and shoulders.

Every part except the face is a grid of points. All share one texture atlas (see `paint`), so that
the rasteriser handles a single kind of triangle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.demo_corpus import head_parts
from pipeline.demo_corpus.geometry import F64, I64, OVAL, load_asset
from pipeline.demo_corpus.truth import N_POINTS

ATLAS_WIDTH = 512
FACE_ROWS = (0, 512)
SKULL_ROWS = (512, 768)
HAIR_ROWS = (768, 896)
EAR_ROWS = (896, 912)
NECK_ROWS = (912, 960)
CLOTH_ROWS = (960, 1088)
ATLAS_HEIGHT = CLOTH_ROWS[1]


@dataclass(frozen=True)
class Body:
    """The whole mesh of a person: the 468 face points first, then the rest.

    Attributes
    ----------
    points
        (V, 3) at rest, head coordinates.
    triangles
        (T, 3) int64; those of the face come first.
    uv
        (V, 2) atlas texel coordinates (texel i covers i .. i + 1).
    two_sided
        (T,) bool: hair, visible from both sides.
    neck, torso
        Slices of the points that do not rotate rigidly with the head.
    welds
        (N, 2) pairs of coincident points that share a normal.
    upness
        (73,) sine of each skull column's direction above the horizontal.
    """

    points: F64
    triangles: I64
    uv: F64
    two_sided: I64
    neck: slice
    torso: slice
    welds: I64
    upness: F64

    @property
    def n_head(self) -> int:
        """Number of points that rotate with the head."""
        return int(self.neck.start)


class _Builder:
    """Collects grids into one mesh."""

    def __init__(self, face: F64, face_uv: F64) -> None:
        self._points, self._uv = [face], [face_uv]
        self._triangles = [load_asset().triangles]
        self._two_sided = [np.zeros(len(self._triangles[0]), np.int64)]
        self.n_points = len(face)

    def add(self, grid: F64, uv: F64, centre: F64, *, two_sided: bool = False) -> slice:
        """Add a (rows, columns, 3) grid, wound so that it faces away from `centre`."""
        rows, columns = grid.shape[:2]
        index = np.arange(rows * columns).reshape(rows, columns)
        a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
        triangles = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
        flat = grid.reshape(-1, 3)
        corner = flat[triangles]
        normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        if (normal * (corner.mean(1) - centre)).sum() < 0:
            triangles = triangles[:, [0, 2, 1]]
        start = self.n_points
        self._points.append(flat)
        self._uv.append(uv.reshape(-1, 2))
        self._triangles.append(triangles + start)
        self._two_sided.append(np.full(len(triangles), two_sided, np.int64))
        self.n_points += len(flat)
        return slice(start, self.n_points)

    def mesh(self) -> tuple[F64, I64, F64, I64]:
        """Return points, triangles, uv and two_sided of all grids."""
        return (
            np.concatenate(self._points),
            np.concatenate(self._triangles),
            np.concatenate(self._uv),
            np.concatenate(self._two_sided),
        )


def _atlas_uv(shape: tuple[int, ...], rows: tuple[int, int]) -> F64:
    """Spread a grid over a band of the atlas, clear of its edges."""
    v, u = np.meshgrid(np.linspace(0, 1, shape[0]), np.linspace(0, 1, shape[1]), indexing="ij")
    top, bottom = rows[0] + 1.5, rows[1] - 1.5
    return np.stack([1 + u * (ATLAS_WIDTH - 2), top + v * (bottom - top)], axis=-1)


def face_uv(face: F64) -> F64:
    """Unroll the neutral face on a cylinder: (468, 2) atlas texels in the band `FACE_ROWS`."""
    around = np.arctan2(face[:, 0], face[:, 2] + 1.15) * 1.05
    u, v = (around + 1.25) / 2.5, (0.85 - face[:, 1]) / 2.3
    return np.asarray(np.stack([u, v], axis=1) * ATLAS_WIDTH)


def build_body(
    face: F64,
    hair: head_parts.HairShape,
    *,
    width: float,
    neck_width: float,
    shoulder_width: float,
    seed: int,
) -> Body:
    """Build a person's mesh around the neutral face (468, 3)."""
    rng = np.random.default_rng(seed)
    builder = _Builder(face, face_uv(face))
    rings, upness = head_parts.skull(face, hair, width, rng)
    skull = builder.add(rings, _atlas_uv(rings.shape, SKULL_ROWS), head_parts.SKULL_CENTRE)
    if hair.curtain_y:
        grid = head_parts.curtain(hair.curtain_y, rng)
        builder.add(grid, _atlas_uv(grid.shape, HAIR_ROWS), head_parts.SKULL_CENTRE, two_sided=True)
    else:
        for side in (-1, 1):
            grid = head_parts.ear(side, float(face[454, 0]))
            out = np.array([0.0, -0.2, -0.6])
            builder.add(grid, _atlas_uv(grid.shape, EAR_ROWS), out)
    if hair.bun:
        grid = head_parts.bun()
        builder.add(grid, _atlas_uv(grid.shape, HAIR_ROWS), np.array([0, 1.17, -0.78]))
    grid = head_parts.neck(neck_width)
    neck = builder.add(grid, _atlas_uv(grid.shape, NECK_ROWS), np.array([0, -1.2, -0.8]))
    grid = head_parts.torso(shoulder_width)
    torso = builder.add(grid, _atlas_uv(grid.shape, CLOTH_ROWS), np.array([0, -3.0, -0.8]))
    ring0 = np.arange(0, head_parts.N_COLUMNS, 2) + skull.start
    seam = np.arange(head_parts.N_RINGS + 1)[:, None] * (head_parts.N_COLUMNS + 1) + skull.start
    welds = np.concatenate(
        [
            np.stack([np.array(OVAL), ring0], 1),
            np.concatenate([seam, seam + head_parts.N_COLUMNS], 1),
        ]
    )
    points, triangles, uv, two_sided = builder.mesh()
    return Body(points, triangles, uv, two_sided, neck, torso, welds, upness)


def follow_face(body: Body, moved: F64) -> F64:
    """Return all points (V, 3) with a moved face; the first rings of the skull follow it."""
    points = body.points.copy()
    shift = head_parts.halved_oval(moved) - head_parts.halved_oval(body.points[:N_POINTS])
    weight = np.clip(1 - np.arange(head_parts.N_RINGS + 1) / 4, 0, 1)[:, None, None]
    points[:N_POINTS] = moved
    end = N_POINTS + (head_parts.N_RINGS + 1) * (head_parts.N_COLUMNS + 1)
    points[N_POINTS:end] += (shift * weight).reshape(-1, 3)
    return points
