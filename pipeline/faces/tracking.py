"""The pictures of one take: where its face is, frame by frame, and the stored crops.

A take is decoded once in the ordinary case: the square of the stored crop is laid around the first
face, generously; where the head leaves it the take is done again with the square of its whole way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Reject
from pipeline.faces.crop import FaceBox, Square, size_of
from pipeline.faces.detection import faces_in
from pipeline.faces.measures import bounds
from pipeline.faces.mesh import FaceFinder, Tracker
from pipeline.faces.occlusion import skin_around_mouth
from pipeline.faces.track_stats import Tally
from pipeline.media import Frame, encode_jpeg

F64 = NDArray[np.float64]

_GLANCE_S = 0.1  # how often the whole frame is searched for a face that is not followed
_SEARCH_S = 1.0  # and how often with tiles, before there was any
_SAME_PLACE = 0.6
_SHARP_PX = 128
_EDGE_SHARE = 0.01


@dataclass(frozen=True)
class Manner:
    """How a take is followed; as the keys of that name in the section `extract`."""

    mesh_px: int
    count_faces_every_s: float
    jpeg_quality: int


class Seen(NamedTuple):
    """One frame: when it is shown, the landmarks (478, 3) in the full frame, the stored crop.

    `landmarks` and `sharpness` are None where there is no face, or none of it in the crop.
    """

    frame: int
    time_s: float
    duration_s: float
    landmarks: F64 | None
    sharpness: float | None
    near_edge: bool
    crop: bytes


def first_face(frames: Iterator[Frame], finder: FaceFinder, look_px: int) -> tuple[FaceBox, Frame]:
    """The largest face of the first frame that has one, and that frame.

    Raises
    ------
    Reject
        no_face, where the whole take has none.
    """
    glance_s = search_s = -np.inf
    n = 0
    for n, frame in enumerate(frames, 1):  # noqa: B007
        if frame.time_s < glance_s:
            continue
        glance_s = frame.time_s + _GLANCE_S
        thorough = frame.time_s >= search_s
        if thorough:
            search_s = frame.time_s + _SEARCH_S
        faces = faces_in(frame, finder, look_px, thorough=thorough)
        if faces:
            return faces[0], frame
    raise Reject("no_face", f"no face in {n} frames")


def follow(
    frames: Iterator[Frame],
    start: FaceBox,
    tools: tuple[Tracker, FaceFinder],
    manner: Manner,
    tally: Tally,
) -> Iterator[Seen]:
    """What is seen in every frame; `tally` lacks only what measures give when they have ended.

    Parameters
    ----------
    start
        The face to follow where there are several.
    """
    tracker, finder = tools
    square = tally.square
    tracker.restart()
    picture_before = None
    expected, is_followed = start, False
    count_s = glance_s = -np.inf
    for frame in frames:
        faces: list[FaceBox] = []
        if frame.time_s >= count_s:
            count_s = frame.time_s + manner.count_faces_every_s
            known = expected if is_followed or frame.index == 0 else None
            faces = faces_in(frame, finder, manner.mesh_px, thorough=False, known=known)
            tally.count(faces)
        picture = frame.cut(square.box, square.stored_px, square.stored_px)
        landmarks = _track(tracker, picture, square, manner.mesh_px)
        is_new = not is_followed and tally.counts[-1] > 1
        if landmarks is not None and is_new and not _same_place(bounds(landmarks), expected):
            tracker.restart()
            landmarks = None
        is_followed = landmarks is not None
        tally.changes.append(_change(picture_before if is_followed else None, picture))
        picture_before = picture
        yield _seen(frame, landmarks, picture, tally, manner.jpeg_quality)
        if is_followed:
            expected = tally.faces[-1]
            continue
        if not faces and frame.time_s >= glance_s:
            glance_s = frame.time_s + _GLANCE_S
            faces = faces_in(frame, finder, manner.mesh_px, thorough=False)
        tally.elsewhere += faces[:1]


def _change(before: NDArray[np.uint8] | None, now: NDArray[np.uint8]) -> float:
    """The mean absolute difference, in levels; infinite where there is nothing to compare with."""
    return float(np.inf if before is None else cv2.norm(before, now, cv2.NORM_L1) / now.size)


def _track(
    tracker: Tracker, picture: NDArray[np.uint8], square: Square, mesh_px: int
) -> F64 | None:
    """Landmarks in the full frame, from the stored crop itself or a smaller copy of it."""
    shown: Any = picture
    if square.stored_px > mesh_px:
        shown = cv2.resize(picture, (mesh_px, mesh_px), interpolation=cv2.INTER_LINEAR)
    landmarks = tracker.track(shown)
    if landmarks is None:
        return None
    in_frame: F64 = landmarks * (square.side / shown.shape[0]) + (square.x, square.y, 0)
    return in_frame


def _seen(
    frame: Frame, landmarks: F64 | None, picture: NDArray[np.uint8], tally: Tally, quality: int
) -> Seen:
    crop = encode_jpeg(picture, quality)
    shown = frame.index, frame.time_s, frame.duration_s
    tally.found.append(landmarks is not None)
    if landmarks is None:
        return Seen(*shown, None, None, False, crop)
    box = bounds(landmarks)
    near_edge = _near_edge(box, frame)
    tally.faces.append(box)
    tally.skins.append(skin_around_mouth(picture, tally.square.inside(landmarks)))
    tally.near_edge += near_edge
    return Seen(*shown, landmarks, sharpness(picture, tally.square, box), near_edge, crop)


def sharpness(picture: NDArray[np.uint8], square: Square, face: FaceBox) -> float | None:
    """Variance of the Laplacian over the face at 128 px; None where the crop has none of it."""
    corners = (np.asarray(face) - (square.x, square.y, square.x, square.y)) / square.scale
    left, top, right, bottom = np.clip(np.round(corners), 0, square.stored_px).astype(int)
    if right - left < 2 or bottom - top < 2:
        return None
    grey = cv2.cvtColor(picture[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    even = cv2.resize(grey, (_SHARP_PX, _SHARP_PX), interpolation=cv2.INTER_AREA)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(even, cv2.CV_32F))
    return float(deviation[0, 0] ** 2)


def _near_edge(face: FaceBox, frame: Frame) -> bool:
    """Whether the face touches the border of the full frame."""
    slack = _EDGE_SHARE * size_of(face)
    left, top, right, bottom = face
    return bool(
        left < slack
        or top < slack
        or right > frame.width_px - slack
        or bottom > frame.height_px - slack
    )


def _same_place(one: FaceBox, other: FaceBox) -> bool:
    """Whether two boxes are of one face: their middles are near for their size."""
    middles = [((f[0] + f[2]) / 2, (f[1] + f[3]) / 2) for f in (one, other)]
    away = np.hypot(middles[0][0] - middles[1][0], middles[0][1] - middles[1][1])
    return bool(away < _SAME_PLACE * size_of(other))
