"""A textured triangle rasteriser: z-buffer, bilinear texture, coloured light per point.

Screen coordinates are pixel-edge coordinates: pixel (row r, column c) covers c .. c + 1 and
r .. r + 1 and is sampled at its centre (c + .5, r + .5). Landmarks are given in the same
coordinates, so that a point at x is rendered at sample index x - .5.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

EMPTY_Z = -1e9


@njit(cache=True, error_model="numpy")
def point_normals(points: F64, triangles: I64, welds: I64) -> F64:
    """Area-weighted unit normals (V, 3); welded points share the sum of their normals."""
    normals = np.zeros_like(points)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux = points[b, 0] - points[a, 0]
        uy = points[b, 1] - points[a, 1]
        uz = points[b, 2] - points[a, 2]
        vx = points[c, 0] - points[a, 0]
        vy = points[c, 1] - points[a, 1]
        vz = points[c, 2] - points[a, 2]
        for i in (a, b, c):
            normals[i, 0] += uy * vz - uz * vy
            normals[i, 1] += uz * vx - ux * vz
            normals[i, 2] += ux * vy - uy * vx
    for w in range(welds.shape[0]):
        for k in range(3):
            total = normals[welds[w, 0], k] + normals[welds[w, 1], k]
            normals[welds[w, 0], k] = total
            normals[welds[w, 1], k] = total
    for i in range(points.shape[0]):
        length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2) + 1e-12
        for k in range(3):
            normals[i, k] /= length
    return normals


@njit(cache=True, error_model="numpy")
def _span(
    y: float, ax: float, ay: float, bx: float, by: float, cx: float, cy: float
) -> tuple[float, float]:
    """The x range where a triangle's edges cross a row; unbounded if an edge is parallel to it."""
    low, high = 1e9, -1e9
    for k in range(3):
        if k == 0:
            px, py, qx, qy = ax, ay, bx, by
        elif k == 1:
            px, py, qx, qy = bx, by, cx, cy
        else:
            px, py, qx, qy = cx, cy, ax, ay
        # Half a pixel of margin: the inside test decides, this only skips impossible pixels.
        if min(py, qy) - 0.5 <= y <= max(py, qy) + 0.5:
            part = 0.5 if abs(qy - py) < 1.0 else (y - py) / (qy - py)
            reach = abs(qx - px) if abs(qy - py) < 1.0 else 1.0
            x = px + min(max(part, 0.0), 1.0) * (qx - px)
            low, high = min(low, x - reach), max(high, x + reach)
    return low, high


@njit(cache=True, error_model="numpy")
def draw_triangles(
    image: F32,
    depth: F64,
    hole: U8,
    screen: F64,
    triangles: I64,
    two_sided: I64,
    n_face: int,
    uv: F64,
    light: F64,
    gloss: F64,
    atlas: U8,
    creases: F32,
) -> None:
    """Draw the mesh over `image` (H, W, 3) and `depth` (H, W), both changed in place.

    Parameters
    ----------
    image
        Float image 0..255 with the background.
    depth
        z of the nearest surface so far, greater is nearer; start with `EMPTY_Z`.
    hole
        (H, W) non-zero where eyes and mouth are already painted: only the face may cover these.
    screen
        (V, 3) pixel-edge x, y (down) and z towards the viewer.
    triangles, two_sided, n_face
        (T, 3), (T,); the first `n_face` are the face's. Back-facing triangles are skipped
        unless `two_sided`.
    uv, light, gloss
        (V, 2) atlas texels, (V, 3) factor on the texture, (V,) added highlight 0..255.
    atlas
        (rows, 512, 3) texture.
    creases
        (256, 256) darkening 0..1 of the face's part of the atlas at half its resolution.
    """
    height, width = depth.shape
    rows, columns = atlas.shape[0], atlas.shape[1]
    crease_n = creases.shape[0]
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, az = screen[a, 0], screen[a, 1], screen[a, 2]
        bx, by, bz = screen[b, 0], screen[b, 1], screen[b, 2]
        cx, cy, cz = screen[c, 0], screen[c, 1], screen[c, 2]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        # y points down on the screen, so that front faces have negative area.
        if abs(area) < 1e-9 or (area > 0 and two_sided[t] == 0):
            continue
        x0 = max(int(np.floor(min(ax, bx, cx) - 0.5)), 0)
        x1 = min(int(np.ceil(max(ax, bx, cx) - 0.5)), width - 1)
        y0 = max(int(np.floor(min(ay, by, cy) - 0.5)), 0)
        y1 = min(int(np.ceil(max(ay, by, cy) - 0.5)), height - 1)
        inv = 1.0 / area
        is_face = t < n_face
        for row in range(y0, y1 + 1):
            dy = row + 0.5 - ay
            first, last = _span(row + 0.5, ax, ay, bx, by, cx, cy)
            for col in range(max(x0, int(first) - 2), min(x1, int(last) + 1) + 1):
                dx = col + 0.5 - ax
                wb = (dx * (cy - ay) - dy * (cx - ax)) * inv
                wc = (dy * (bx - ax) - dx * (by - ay)) * inv
                wa = 1.0 - wb - wc
                if wa < -1e-6 or wb < -1e-6 or wc < -1e-6:
                    continue
                z = wa * az + wb * bz + wc * cz
                if z <= depth[row, col] or (hole[row, col] != 0 and not is_face):
                    continue
                depth[row, col] = z
                u = wa * uv[a, 0] + wb * uv[b, 0] + wc * uv[c, 0] - 0.5
                v = wa * uv[a, 1] + wb * uv[b, 1] + wc * uv[c, 1] - 0.5
                u = min(max(u, 0.0), columns - 1.001)
                v = min(max(v, 0.0), rows - 1.001)
                iu, iv = int(u), int(v)
                fu, fv = u - iu, v - iv
                dark = 0.0
                if is_face:
                    hu = min(max((u - 0.5) * 0.5, 0.0), crease_n - 1.001)
                    hv = min(max((v - 0.5) * 0.5, 0.0), crease_n - 1.001)
                    ju, jv = int(hu), int(hv)
                    gu, gv = hu - ju, hv - jv
                    dark = (1 - gv) * (
                        (1 - gu) * creases[jv, ju] + gu * creases[jv, ju + 1]
                    ) + gv * ((1 - gu) * creases[jv + 1, ju] + gu * creases[jv + 1, ju + 1])
                shine = wa * gloss[a] + wb * gloss[b] + wc * gloss[c]
                for k in range(3):
                    colour = (1 - fv) * (
                        (1 - fu) * atlas[iv, iu, k] + fu * atlas[iv, iu + 1, k]
                    ) + fv * ((1 - fu) * atlas[iv + 1, iu, k] + fu * atlas[iv + 1, iu + 1, k])
                    factor = wa * light[a, k] + wb * light[b, k] + wc * light[c, k]
                    # Creases look reddish: blue is dimmed most.
                    image[row, col, k] = colour * factor * (1 - dark * (1 - 0.075 * k)) + shine


@njit(cache=True, error_model="numpy")
def smooth_edges(image: F32, depth: F64, step: float) -> F32:
    """Blend each pixel next to a depth step larger than `step` with its neighbours."""
    height, width = depth.shape
    out = image.copy()
    for row in range(1, height - 1):
        for col in range(1, width - 1):
            z = depth[row, col]
            if (
                abs(depth[row - 1, col] - z) < step
                and abs(depth[row + 1, col] - z) < step
                and abs(depth[row, col - 1] - z) < step
                and abs(depth[row, col + 1] - z) < step
            ):
                continue
            for k in range(3):
                around = (
                    image[row - 1, col, k]
                    + image[row + 1, col, k]
                    + image[row, col - 1, k]
                    + image[row, col + 1, k]
                )
                out[row, col, k] = np.float32(0.5) * image[row, col, k] + np.float32(0.125) * around
    return out


@njit(cache=True, error_model="numpy")
def to_bytes(image: F32, grain: F32, shift_y: int, shift_x: int) -> U8:
    """Add a (H, W) tile of grain, moved around its edges, and round to 0..255."""
    height, width = grain.shape
    out = np.empty(image.shape, np.uint8)
    for row in range(height):
        for col in range(width):
            noise = grain[(row + shift_y) % height, (col + shift_x) % width]
            for k in range(3):
                value = image[row, col, k] + noise + np.float32(0.5)
                out[row, col, k] = np.uint8(min(max(value, np.float32(0)), np.float32(255)))
    return out
