"""The pictures of one take: where its face is, frame by frame, and the stored crops.

A take is decoded once in the ordinary case: the square of the stored crop is laid around the first
face, generously; where the head leaves it the take is done again with the square of its whole way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Reject
from pipeline.faces.covering import is_covered, skin_around_mouth
from pipeline.faces.crop import FaceBox, Square, size_of, square_for
from pipeline.faces.finding import faces_in
from pipeline.faces.measures import bounds, has_jumped, measure
from pipeline.faces.mesh import FaceFinder, Tracker
from pipeline.media import Frame, Video, encode_jpeg, standstills

F64 = NDArray[np.float64]
Row = dict[str, Any]
OpenVideo = Callable[[], AbstractContextManager[Video]]

_GLANCE_S = 0.1  # how often the whole frame is searched for a face that is not followed
_SEARCH_S = 1.0  # and how often with tiles, before there was any
_LESSER = 1 / 3  # a face smaller than this share of the largest does not count
_SAME_PLACE = 0.6
_SHARP_PX = 128
_EDGE_SHARE = 0.01
_LOST_S = 0.2
_COVERED_FRAMES = 3


@dataclass(frozen=True)
class Manner:
    """How a take is followed; as the keys of that name in the section `extract`."""

    mesh_px: int
    count_faces_every_s: float
    jpeg_quality: int


@dataclass
class Tally:
    """What following a take gave beside the rows of its frames.

    `faces` are the boxes of the face followed, `counts` how many faces there were at the instants
    at which they were counted, `elsewhere` what the whole frame showed while the face was lost,
    `skins` the colours around the mouth where a face was found, `changes` how much the stored crop
    differs from the one before it (levels, on average), infinite where there is no face or no crop.
    """

    square: Square
    faces: list[FaceBox] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    interocular_px: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    elsewhere: list[FaceBox] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    skins: list[NDArray[np.uint8]] = field(default_factory=list)
    jumps: int = 0
    near_edge: int = 0

    @property
    def is_crowded(self) -> bool:
        """Whether several faces were counted, at more than one instant or at the only one."""
        several = sum(count > 1 for count in self.counts)
        return several > 0 and several >= min(2, len(self.counts))

    def covered(self) -> list[bool]:
        """Whether something seems to be before the mouth, a frame each."""
        covered = np.zeros(len(self.found), bool)
        if self.skins:
            covered[np.array(self.found)] = is_covered(np.array(self.skins))
        return [bool(value) for value in covered]

    @property
    def holds(self) -> bool:
        """Whether the square held every face that was found anywhere in the frame."""
        return all(self.square.holds(face) for face in self._wanted())

    def wider(self, margin: float, max_px: int) -> Square:
        """The square that would have held."""
        return square_for(self._wanted(), margin, max_px)

    def _wanted(self) -> list[FaceBox]:
        """What the square must hold; in company nobody knows whose face is elsewhere."""
        return self.faces if self.is_crowded else self.faces + self.elsewhere

    def findings(self, video: Video) -> set[str]:
        """Findings on the face; slugs of media.FINDINGS."""
        marks = {
            "several_faces": self.is_crowded,
            "face_passes": max(self.counts, default=0) > 1 and not self.is_crowded,
            "face_comes_and_goes": _longest_loss_s(video.times_s, self.found) >= _LOST_S,
            "mouth_covered": sum(self.covered()) >= _COVERED_FRAMES,
            "face_jumps": self.jumps > 0,
            "face_near_edge": self.near_edge > 0,
            "head_leaves_crop": not self.holds,
        }
        found = {name for name, present in marks.items() if present}
        return found | standstills(video.times_s, video.end_s, self.changes)


def _longest_loss_s(times_s: list[float], found: list[bool]) -> float:
    """The longest time from a frame without a face to the next with one, or to the last frame."""
    longest_s, lost_s = 0.0, None
    for time_s, is_found in zip(times_s, found, strict=True):
        if not is_found and lost_s is None:
            lost_s = time_s
        if lost_s is not None:
            longest_s = max(longest_s, time_s - lost_s)
        if is_found:
            lost_s = None
    return longest_s


def first_face(video: Video, finder: FaceFinder, look_px: int) -> FaceBox:
    """The largest face of the first frame that has one.

    Raises
    ------
    Reject
        no_face, where the whole take has none.
    """
    glance_s = search_s = -np.inf
    for frame in video.frames():
        if frame.time_s < glance_s:
            continue
        glance_s = frame.time_s + _GLANCE_S
        thorough = frame.time_s >= search_s
        if thorough:
            search_s = frame.time_s + _SEARCH_S
        faces = faces_in(frame, finder, look_px, thorough=thorough)
        if faces:
            return faces[0]
    raise Reject("no_face", f"no face in {len(video.times_s)} frames")


def follow(
    video: Video,
    start: FaceBox,
    tools: tuple[Tracker, FaceFinder],
    manner: Manner,
    tally: Tally,
) -> Iterator[Row]:
    """The rows of records.FRAMES_SCHEMA, one a frame; `tally` is complete when they have ended.

    Parameters
    ----------
    start
        The face to follow where there are several.
    """
    tracker, finder = tools
    square = tally.square
    tracker.restart()
    before: tuple[float, F64] | None = None
    picture_before = None
    expected = start
    count_s = glance_s = -np.inf
    for frame in video.frames():
        faces: list[FaceBox] = []
        if frame.time_s >= count_s:
            count_s = frame.time_s + manner.count_faces_every_s
            faces = faces_in(frame, finder, manner.mesh_px, thorough=False)
            tally.counts.append(_count(faces))
        picture = frame.cut(square.box, square.stored_px, square.stored_px)
        landmarks = _track(tracker, picture, square, manner.mesh_px)
        is_new = before is None and tally.counts[-1] > 1
        if landmarks is not None and is_new and not _same_place(bounds(landmarks), expected):
            tracker.restart()
            landmarks = None
        tally.changes.append(_change(picture_before if landmarks is not None else None, picture))
        picture_before = picture
        yield {
            "frame": frame.index,
            "time_s": frame.time_s,
            "duration_s": frame.duration_s,
            **_face(landmarks, before, picture, frame, tally),
            "crop": encode_jpeg(picture, manner.jpeg_quality),
        }
        if landmarks is None:
            if not faces and frame.time_s >= glance_s:
                glance_s = frame.time_s + _GLANCE_S
                faces = faces_in(frame, finder, manner.mesh_px, thorough=False)
            tally.elsewhere += faces[:1]
            before = None
        else:
            expected = bounds(landmarks)
            before = frame.time_s, landmarks


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


def _face(
    landmarks: F64 | None,
    before: tuple[float, F64] | None,
    picture: NDArray[np.uint8],
    frame: Frame,
    tally: Tally,
) -> Row:
    """The columns that tell of the face; `before` are time and landmarks of the frame before."""
    tally.found.append(landmarks is not None)
    if landmarks is None:
        return {"found": False, "jumped": False, "near_edge": False}
    measures, box = measure(landmarks), bounds(landmarks)
    jumped = before is not None and has_jumped(before[1], landmarks, frame.time_s - before[0])
    near_edge = _near_edge(box, frame)
    tally.faces.append(box)
    tally.interocular_px.append(measures.interocular_px)
    tally.skins.append(skin_around_mouth(picture, tally.square.inside(landmarks)))
    tally.jumps += jumped
    tally.near_edge += near_edge
    return {
        "found": True,
        "landmarks": landmarks.astype(np.float32).ravel(),
        **vars(measures),
        "sharpness": sharpness(picture, tally.square, box),
        "jumped": jumped,
        "near_edge": near_edge,
    }


def sharpness(picture: NDArray[np.uint8], square: Square, face: FaceBox) -> float | None:
    """Variance of the Laplacian over the face at 128 px; None where the crop has none of it."""
    corners = (np.asarray(face) - (square.x, square.y, square.x, square.y)) / square.scale
    left, top, right, bottom = np.clip(np.round(corners), 0, square.stored_px).astype(int)
    if right - left < 2 or bottom - top < 2:
        return None
    grey = cv2.cvtColor(np.ascontiguousarray(picture[top:bottom, left:right]), cv2.COLOR_RGB2GRAY)
    even = cv2.resize(grey, (_SHARP_PX, _SHARP_PX), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(even, cv2.CV_32F).var())


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


def _count(faces: list[FaceBox]) -> int:
    """How many faces there are, the largest first; much smaller ones are posters or mistakes."""
    return sum(size_of(face) >= _LESSER * size_of(faces[0]) for face in faces)


def _same_place(one: FaceBox, other: FaceBox) -> bool:
    """Whether two boxes are of one face: their middles are near for their size."""
    middles = [((f[0] + f[2]) / 2, (f[1] + f[3]) / 2) for f in (one, other)]
    away = np.hypot(middles[0][0] - middles[1][0], middles[0][1] - middles[1][1])
    return bool(away < _SAME_PLACE * size_of(other))
