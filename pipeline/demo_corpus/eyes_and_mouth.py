"""Eyes and the inside of the mouth, painted into the holes of the face mesh."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.demo_corpus.canvas import F32, SHIFT, bgr, fixed
from pipeline.demo_corpus.geometry import EYE_CORNERS, EYE_HOLE_LEFT, F64, MOUTH_HOLE, mirrored
from pipeline.demo_corpus.head_pose import Pose
from pipeline.demo_corpus.rasteriser import U8
from pipeline.demo_corpus.speakers import Colour

MIN_GAP = 0.02  # units; below it only the lip line is visible, and painted teeth would leak
_ONES = np.ones((3, 3), np.uint8)


class _Patch:
    """The rectangle of the image around a hole, with the hole's mask."""

    def __init__(self, outline: F64, shape: tuple[int, int]) -> None:
        low = np.maximum(np.floor(outline.min(0)).astype(int) - 4, 0)
        high = np.minimum(np.ceil(outline.max(0)).astype(int) + 5, [shape[1], shape[0]])
        self.corner = low.astype(np.float64)
        self.area = (slice(low[1], high[1]), slice(low[0], high[0]))
        self.empty = bool((high <= low).any())
        if self.empty:
            return
        mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
        cv2.fillPoly(mask, [fixed(outline - self.corner)], (255,), cv2.LINE_8, SHIFT)
        # One extra pixel on all sides, which the face covers where necessary.
        self.mask: U8 = np.asarray(cv2.dilate(mask, _ONES))
        self.pixels: F32 = np.zeros((*mask.shape, 3), np.float32)

    def circle(self, at: F64, radius: float, colour: F32) -> None:
        x, y = fixed(at - self.corner).tolist()
        reach = max(round(radius * (1 << SHIFT)), 1)
        cv2.circle(self.pixels, (x, y), reach, colour.tolist(), -1, cv2.LINE_AA, SHIFT)

    def polygon(self, points: F64, colour: tuple[float, float, float]) -> None:
        outline = fixed(points - self.corner)
        cv2.fillPoly(self.pixels, [outline], colour, cv2.LINE_AA, SHIFT)

    def paste(self, image: F32, hole: U8) -> None:
        inside = self.mask > 0
        image[self.area][inside] = self.pixels[inside]
        hole[self.area][inside] = 255


def _eye(
    face: F64,
    rest: F64,
    screen: F64,
    pose: Pose,
    gaze: tuple[float, float],
    iris: Colour,
    side: int,
    patch: _Patch,
) -> None:
    outer, inner = EYE_CORNERS[side]
    loop = EYE_HOLE_LEFT if side == 0 else mirrored(EYE_HOLE_LEFT)
    width = float(np.linalg.norm(rest[outer] - rest[inner]))
    middle = (face[outer] + face[inner]) / 2
    height = patch.pixels.shape[0]
    white = np.array([214, 221, 228], np.float32)
    lit = np.interp(np.arange(height), [0, 0.35 * height, height], [0.55, 0.92, 1.0])
    patch.pixels[:] = white * lit[:, None, None].astype(np.float32)
    ball = np.array([middle[0], rest[loop].mean(0)[1] + 0.004, middle[2] - 0.10])
    look = np.array([np.sin(0.5 * gaze[0]), np.sin(0.5 * gaze[1]), np.cos(0.5 * gaze[0])])
    at = pose.to_screen(((ball + 0.13 * look) @ pose.matrix.T)[None])[0, :2]
    radius = width * 0.225 * pose.scale_px
    colour = bgr(iris)
    patch.circle(at, radius, colour * 0.42)
    patch.circle(at, radius * 0.86, colour)
    patch.circle(at + np.array([0, 0.25 * radius]), radius * 0.55, np.minimum(colour * 1.25, 255))
    patch.circle(at, radius * 0.43, np.array([12, 10, 10], np.float32))
    patch.circle(at - radius * np.array([0.35, 0.4]), radius * 0.2, np.full(3, 250, np.float32))
    # The upper lid's shade.
    upper = screen[loop][:, 1].min() - patch.corner[1]
    rows = np.arange(height) - upper
    shade = np.interp(rows, [0, 2 + 0.035 * pose.scale_px], [0.62, 1.0]).astype(np.float32)
    patch.pixels *= shade[:, None, None]


def _teeth_and_tongue(face: F64, rest: F64, pose: Pose, lower_shown: bool, patch: _Patch) -> None:
    def project(points: F64) -> F64:
        return pose.to_screen(points @ pose.matrix.T)[:, :2]

    def band(x: F64, top: F64, bottom: F64, z: F64) -> F64:
        return np.concatenate(
            [np.stack([x, top, z], axis=1), np.stack([x, bottom, z], axis=1)[::-1]]
        )

    x = np.linspace(-0.27, 0.27, 13)
    z = 0.235 - 1.3 * x**2
    lip_y, jaw_y = rest[13, 1], float(face[17, 1] - rest[17, 1])
    arch = lip_y - 0.06 + 0.9 * jaw_y + 0.05 * np.sqrt(1 - (x / 0.275) ** 2)
    patch.polygon(project(band(0.7 * x, arch, arch - 0.14, 0.5 * z)), (72, 66, 156))
    if lower_shown:
        top = lip_y - 0.045 + jaw_y - 0.15 * x**2
        bottom = np.full(13, lip_y - 0.14 + jaw_y)
        patch.polygon(project(band(0.9 * x, top, bottom, z - 0.02)), (160, 174, 182))
    upper = project(band(x, np.full(13, lip_y + 0.09), lip_y - 0.022 + 0.35 * x**2, z))
    patch.polygon(upper, (194, 207, 214))
    for k in range(2, 11):
        a, b = fixed(upper[[k, 25 - k]] - patch.corner).tolist()
        cv2.line(patch.pixels, a, b, (168, 182, 190), 1, cv2.LINE_AA, SHIFT)
    columns = np.arange(patch.pixels.shape[1])
    middle = (upper[:, 0].min() + upper[:, 0].max()) / 2 - patch.corner[0]
    side = np.abs(columns - middle) / (0.3 * pose.scale_px)
    patch.pixels *= np.clip(1.05 - 0.45 * side**2, 0.4, 1)[None, :, None].astype(np.float32)


def paint_holes(
    image: F32,
    *,
    face: F64,
    rest: F64,
    screen: F64,
    pose: Pose,
    gaze: tuple[float, float],
    iris: Colour,
    skin: Colour,
    lower_teeth: bool,
) -> U8:
    """Paint eyes and mouth into `image` (in place) and return the mask of their pixels.

    Parameters
    ----------
    face, rest
        (468, 3) moved and neutral face in head coordinates.
    screen
        (V, 3) projected points.
    gaze
        Right and up, about -1..1.
    lower_teeth
        Whether the lower teeth may show.
    """
    hole = np.zeros(image.shape[:2], np.uint8)
    shape = (image.shape[0], image.shape[1])
    loops: list[tuple[list[int], Callable[[_Patch], None]]] = []
    for side, loop in enumerate((EYE_HOLE_LEFT, mirrored(EYE_HOLE_LEFT))):
        loops.append(
            (loop, lambda p, s=side: _eye(face, rest, screen, pose, gaze, iris, s, p))  # type: ignore[misc]
        )

    def mouth(patch: _Patch) -> None:
        if face[13, 1] - face[14, 1] < MIN_GAP:
            patch.pixels[:] = bgr(skin) * 0.3
            return
        patch.pixels[:] = np.array([28, 16, 52], np.float32)
        _teeth_and_tongue(face, rest, pose, lower_teeth, patch)

    loops.append((MOUTH_HOLE, mouth))
    for loop, fill in loops:
        patch = _Patch(screen[loop][:, :2], shape)
        if not patch.empty:
            fill(patch)
            patch.paste(image, hole)
    return hole
