"""Find all faces of a full frame, however small, and which way up they are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pipeline.faces.crop import FaceBox, size_of
from pipeline.faces.measures import bounds
from pipeline.faces.mesh import FaceFinder
from pipeline.media import ALIGN, Box, Frame

U8 = NDArray[np.uint8]

_CONTEXT = 2.0  # side of the mesh's input divided by that of the detector's box
_CONFIRM_PX = 384
_SAME = 0.3
_TILE_PARTS = (1, 2)
_MOST_SIDES = 32
"""Bound on the aspect ratio for tiles: a frame that is one pixel high would have thousands."""


def faces_in(
    frame: Frame,
    finder: FaceFinder,
    search_px: int,
    *,
    thorough: bool,
    known: FaceBox | None = None,
) -> list[FaceBox]:
    """The landmark boxes of all faces, in pixels of the full frame, the largest first.

    The detector runs on the frame with its longer side at `search_px`. If it finds nothing and
    `thorough` is set, it runs on tiles: squares of the shorter side, then of half of it. A
    detection at a `known` face is that face and is not confirmed by the mesh.
    """
    faces: list[FaceBox] = []
    for window, is_first in _windows(frame) if thorough else islice(_windows(frame), 1):
        if is_first and faces:
            break
        for face in _faces_in_window(frame, finder, window, search_px, known):
            if all(_overlap(face, known) < _SAME for known in faces):
                faces.append(face)
    return sorted(faces, key=lambda face: (-size_of(face), face))


def turn_scores(image: U8, finder: FaceFinder) -> tuple[list[float], NDArray[np.float64] | None]:
    """The detector's best score for an image (h, w, 3) after 0 to 3 clockwise quarter turns, and
    the eyes, nose tip and mouth (4, 2) that it sees without a turn, None if it sees no face.

    Real and drawn faces score 0.6 to 0.95 the right way up, and in the other three 0 to 0.75,
    mostly 0, although the mesh fits an upright face to them too.
    """
    score, keypoints = finder.best(image)
    turned = (np.ascontiguousarray(np.rot90(image, -turn)) for turn in (1, 2, 3))
    return [score, *(finder.best(one)[0] for one in turned)], keypoints


def whole_image(frame: Frame, longer_px: int) -> U8:
    """The whole frame as RGB, its longer side at most `longer_px`."""
    window = Box(0, 0, frame.width_px, frame.height_px)
    return frame.cut(window, *_shown_size(window, longer_px))


def _shown_size(window: Box, longer_px: int) -> tuple[int, int]:
    shrink = min(1.0, longer_px / max(window.width, window.height))
    return max(1, round(window.width * shrink)), max(1, round(window.height * shrink))


def _windows(frame: Frame) -> Iterator[tuple[Box, bool]]:
    """(window, whether it is the first of a finer level) from coarse to fine."""
    yield Box(0, 0, frame.width_px, frame.height_px), True
    for parts in _TILE_PARTS:
        side = min(frame.width_px, frame.height_px) // parts
        if side < 1 or max(frame.width_px, frame.height_px) > _MOST_SIDES * side:
            return
        for k, (x, y) in enumerate(
            (x, y) for y in _starts(frame.height_px, side) for x in _starts(frame.width_px, side)
        ):
            yield Box(x, y, side, side), k == 0


def _starts(length: int, side: int) -> list[int]:
    """Start offsets of tiles that cover a length and overlap by half."""
    n = max(1, math.ceil(2 * (length - side) / side) + 1)
    return [k * (length - side) // max(1, n - 1) // ALIGN * ALIGN for k in range(n)]


def _faces_in_window(
    frame: Frame, finder: FaceFinder, window: Box, search_px: int, known: FaceBox | None
) -> Iterator[FaceBox]:
    shrink = min(1.0, search_px / max(window.width, window.height))
    image = frame.cut(window, *_shown_size(window, search_px))
    for left, top, right, bottom in finder.propose(image):
        proposal = (
            left / shrink + window.x, top / shrink + window.y,
            right / shrink + window.x, bottom / shrink + window.y,
        )  # fmt: skip
        if known is not None and _overlap(proposal, known) >= _SAME:
            yield known
            continue
        side = _CONTEXT * max(right - left, bottom - top) / shrink
        x, y = (left + right) / 2 / shrink, (top + bottom) / 2 / shrink
        box = Box.square(window.x + x, window.y + y, side)
        if not _inside(box, frame) or not box.is_cuttable:
            continue
        shown_px = min(box.width, _CONFIRM_PX)
        landmarks = finder.confirm(frame.cut(box, shown_px, shown_px))
        if landmarks is not None:
            scale = box.width / shown_px
            yield bounds(landmarks[:, :2] * scale + (box.x, box.y))


def _inside(box: Box, frame: Frame) -> bool:
    return (
        box.x < frame.width_px
        and box.y < frame.height_px
        and box.x + box.width > 0
        and box.y + box.height > 0
    )


def _overlap(one: FaceBox, other: FaceBox) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = [(f[2] - f[0]) * (f[3] - f[1]) for f in (one, other)]
    return float(shared / (sum(areas) - shared))
