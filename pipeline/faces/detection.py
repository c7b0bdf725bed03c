"""All faces of one full frame, in its pixels, however small or far from the middle."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pipeline.faces.crop import FaceBox, size_of
from pipeline.faces.measures import bounds
from pipeline.faces.mesh import FaceFinder
from pipeline.media import ALIGN, Box, Frame

_CONTEXT = 2.0  # side of what the mesh is given over the detector's box
_CONFIRM_PX = 384
_SAME = 0.3
_TILE_PARTS = (1, 2)
_MOST_SIDES = 32
"""Tiles in a row, nearly: a frame that is one pixel high would have thousands."""


def faces_in(
    frame: Frame,
    finder: FaceFinder,
    look_px: int,
    *,
    thorough: bool,
    known: FaceBox | None = None,
) -> list[FaceBox]:
    """The boxes of the landmarks of all faces, the largest first.

    The detector sees the frame with its longer side at `look_px`. Where it finds nothing there and
    `thorough` is set, it is shown tiles: squares of the shorter side, then of half of it. What it
    finds where a face is `known` to be is that face, and needs no mesh to confirm it.
    """
    faces: list[FaceBox] = []
    for window in _windows(frame) if thorough else [_whole(frame)]:
        if window[1] and faces:
            break
        for face in _faces_in_window(frame, finder, window[0], look_px, known):
            if all(_overlap(face, known) < _SAME for known in faces):
                faces.append(face)
    return sorted(faces, key=lambda face: (-size_of(face), face))


def _whole(frame: Frame) -> tuple[Box, bool]:
    return Box(0, 0, frame.width_px, frame.height_px), False


def _windows(frame: Frame) -> Iterator[tuple[Box, bool]]:
    """(window, whether it is the first of a finer look) from coarse to fine."""
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
    """Where tiles begin that cover a length with half of each shared."""
    n = max(1, math.ceil(2 * (length - side) / side) + 1)
    return [k * (length - side) // max(1, n - 1) // ALIGN * ALIGN for k in range(n)]


def _faces_in_window(
    frame: Frame, finder: FaceFinder, window: Box, look_px: int, known: FaceBox | None
) -> Iterator[FaceBox]:
    shrink = min(1.0, look_px / max(window.width, window.height))
    width, height = (max(1, round(side * shrink)) for side in (window.width, window.height))
    for left, top, right, bottom in finder.propose(frame.cut(window, width, height)):
        found = _in_frame((left, top, right, bottom), window, shrink)
        if known is not None and _overlap(found, known) >= _SAME:
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


def _in_frame(box: FaceBox, window: Box, shrink: float) -> FaceBox:
    """A box of a window's picture in the full frame."""
    left, top, right, bottom = (edge / shrink for edge in box)
    return left + window.x, top + window.y, right + window.x, bottom + window.y


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
