"""Track the face of one take frame by frame, and encode the stored crops.

Usually a take is decoded once: the square of the stored crop is placed around the first face, with
a generous margin. If the head leaves it, the take is decoded again with a square that covers the
whole path.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Reject
from pipeline.faces.crop import FaceBox, Square, size_of
from pipeline.faces.detection import faces_in, turn_scores, whole_image
from pipeline.faces.measures import bounds, head_move, keypoint_error, mean_move, outside_share
from pipeline.faces.mesh import FaceFinder, SettlingTracker
from pipeline.faces.occlusion import skin_around_mouth
from pipeline.faces.track_stats import FrameChange, TrackStats, TurnVotes
from pipeline.media import Frame, encode_jpeg
from pipeline.params import Extract

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

_SEARCH_S = 0.1  # between searches of the whole frame while no face is tracked
_TILED_SEARCH_S = 1.0  # between searches with tiles, before the first face
_SAME_PLACE = 0.6
_SHARP_PX = 128
_EDGE_SHARE = 0.01
_MOST_OUTSIDE = 0.15
"""Share of landmarks outside the image, above which a frame has none: the mesh invents what it does
not see. A fifth of a real face cut off leaves 0.15 of them outside, three tenths 0.2 to 0.28."""
_THUMB_PX = 64
_CLEAR = 0.05  # of the face, around its box; twice below the chin, which opens
_LEAST_OUTSIDE = 50  # pixels of the thumbnail
_VOTES = 4  # instants at which the orientation is checked; 30 ms each


class TrackedFrame(NamedTuple):
    """One frame: presentation time, landmarks (478, 3) in the full frame, and the stored crop.

    `landmarks` and `sharpness` are None where no face is tracked, or the crop shows none of it.
    """

    frame: int
    time_s: float
    duration_s: float
    landmarks: F64 | None
    sharpness: float | None
    near_edge: bool
    crop: bytes


class _Last(NamedTuple):
    """What the frame before leaves for comparison."""

    crop: U8
    thumb: F64
    landmarks: F64


def first_face(
    frames: Iterator[Frame], finder: FaceFinder, search_px: int, votes: TurnVotes
) -> tuple[FaceBox, Frame]:
    """The largest face of the first frame that has one, and that frame.

    `votes` receives the detector's scores of frames without an upright face.

    Raises
    ------
    Reject
        no_face, where no frame of the take has one.
    """
    search_s = tiled_s = -np.inf
    n = 0
    for n, frame in enumerate(frames, 1):  # noqa: B007
        if frame.time_s < search_s:
            continue
        search_s = frame.time_s + _SEARCH_S
        tiled = frame.time_s >= tiled_s
        faces = faces_in(frame, finder, search_px, thorough=tiled)
        if faces:
            return faces[0], frame
        if tiled:
            tiled_s = frame.time_s + _TILED_SEARCH_S
            votes.add(turn_scores(whole_image(frame, search_px), finder)[0])
    raise Reject("no_face", f"no face in {n} frames")


def track_face(
    frames: Iterator[Frame],
    start: FaceBox,
    tools: tuple[SettlingTracker, FaceFinder],
    options: Extract,
    stats: TrackStats,
) -> Iterator[TrackedFrame]:
    """Track one face through all frames; `stats` collects what the findings need.

    Parameters
    ----------
    start
        The face to track if there are several.
    """
    tracker, finder = tools
    square = stats.square
    tracker.restart()
    last: _Last | None = None
    expected, is_tracked = start, False
    count_s = search_s = -np.inf
    for frame in frames:
        faces: list[FaceBox] = []
        image = frame.cut(square.box, square.stored_px, square.stored_px)
        counted = frame.time_s >= count_s
        if counted:
            count_s = frame.time_s + options.count_faces_every_s
            known = expected if is_tracked or frame.index == 0 else None
            faces = faces_in(frame, finder, options.mesh_px, thorough=False, known=known)
            stats.count(faces)
        landmarks = _track(tracker, image, square, options.mesh_px)
        if counted and len(stats.keypoint_errors) < _VOTES:
            _check(image, landmarks, finder, options.mesh_px, stats)
        is_new = not is_tracked and stats.counts[-1] > 1
        if landmarks is not None and is_new and not _same_place(bounds(landmarks), expected):
            tracker.restart()
            landmarks = None
        is_tracked = landmarks is not None
        if landmarks is not None:
            expected = bounds(landmarks)
            if outside_share(landmarks, frame.width_px, frame.height_px) > _MOST_OUTSIDE:
                stats.outside += 1
                landmarks = None
        last = _compare(last, image, landmarks, stats)
        yield _tracked_frame(frame, landmarks, image, stats, options.jpeg_quality)
        if is_tracked:
            continue
        if not faces and frame.time_s >= search_s:
            search_s = frame.time_s + _SEARCH_S
            faces = faces_in(frame, finder, options.mesh_px, thorough=False)
        stats.elsewhere += faces[:1]


def _check(
    image: U8, landmarks: F64 | None, finder: FaceFinder, mesh_px: int, stats: TrackStats
) -> None:
    """Compare a crop's landmarks with what the detector sees, also after quarter turns."""
    shown = _shrunk(image, mesh_px)
    scores, keypoints = turn_scores(shown, finder)
    stats.votes.add(scores)
    if landmarks is None:
        return
    if keypoints is None:
        stats.keypoint_errors.append(np.inf)
        return
    square = stats.square
    in_frame = keypoints * (square.side / shown.shape[0]) + (square.x, square.y)
    stats.keypoint_errors.append(keypoint_error(landmarks, in_frame))


def _compare(
    last: _Last | None, crop: U8, landmarks: F64 | None, stats: TrackStats
) -> _Last | None:
    """Record how the frame differs from the one before; infinite unless both have landmarks."""
    if landmarks is None:
        stats.add_change(FrameChange())
        return None
    thumb = _thumb(crop)
    if last is None:
        stats.add_change(FrameChange())
    else:
        moved = np.abs(thumb - last.thumb)
        points = stats.square.inside(np.concatenate([last.landmarks, landmarks]))
        change = FrameChange(
            image=float(cv2.norm(last.crop, crop, cv2.NORM_L1) / crop.size),
            scene=float(moved.mean()),
            surroundings=_outside(moved, points * (_THUMB_PX / stats.square.stored_px)),
            move=mean_move(last.landmarks, landmarks),
            head=head_move(last.landmarks, landmarks),
        )
        stats.add_change(change)
    return _Last(crop, thumb, landmarks)


def _outside(moved: F64, points: F64) -> float:
    """Mean of a thumbnail's changes outside the box of points in it; infinite where little is."""
    left, top = points.min(axis=0)
    right, bottom = points.max(axis=0)
    clear_x, clear_y = _CLEAR * (right - left), _CLEAR * (bottom - top)
    y, x = np.mgrid[0:_THUMB_PX, 0:_THUMB_PX] + 0.5
    inside = (
        (x > left - clear_x) & (x < right + clear_x)
        & (y > top - clear_y) & (y < bottom + 2 * clear_y)
    )  # fmt: skip
    return float(moved[~inside].mean()) if (~inside).sum() >= _LEAST_OUTSIDE else np.inf


def _thumb(crop: U8) -> F64:
    """A grey thumbnail without codec noise, independent of exposure: mean 0, deviation 50."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_THUMB_PX, _THUMB_PX), interpolation=cv2.INTER_AREA)
    centred = small.astype(np.float64) - small.mean()
    return np.asarray(50 * centred / max(float(centred.std()), 1.0), dtype=np.float64)


def _shrunk(image: U8, most_px: int) -> U8:
    if image.shape[0] <= most_px:
        return image
    small: Any = cv2.resize(image, (most_px, most_px), interpolation=cv2.INTER_LINEAR)
    return np.asarray(small, dtype=np.uint8)


def _track(tracker: SettlingTracker, image: U8, square: Square, mesh_px: int) -> F64 | None:
    """Landmarks in the full frame, from the stored crop or a smaller copy of it."""
    shown = _shrunk(image, mesh_px)
    landmarks = tracker.track(shown)
    if landmarks is None:
        return None
    in_frame: F64 = landmarks * (square.side / shown.shape[0]) + (square.x, square.y, 0)
    return in_frame


def _tracked_frame(
    frame: Frame, landmarks: F64 | None, image: U8, stats: TrackStats, quality: int
) -> TrackedFrame:
    crop = encode_jpeg(image, quality)
    shown = frame.index, frame.time_s, frame.duration_s
    stats.found.append(landmarks is not None)
    if landmarks is None:
        return TrackedFrame(*shown, None, None, False, crop)
    box = bounds(landmarks)
    near_edge = _near_edge(box, frame)
    stats.faces.append(box)
    stats.skins.append(skin_around_mouth(image, stats.square.inside(landmarks)))
    stats.near_edge += near_edge
    return TrackedFrame(*shown, landmarks, sharpness(image, stats.square, box), near_edge, crop)


def sharpness(image: U8, square: Square, face: FaceBox) -> float | None:
    """Variance of the Laplacian over the face at 128 px; None where the crop shows none of it."""
    corners = (np.asarray(face) - (square.x, square.y, square.x, square.y)) / square.scale
    left, top, right, bottom = np.clip(np.round(corners), 0, square.stored_px).astype(int)
    if right - left < 2 or bottom - top < 2:
        return None
    grey = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    resized = cv2.resize(grey, (_SHARP_PX, _SHARP_PX), interpolation=cv2.INTER_AREA)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(resized, cv2.CV_32F))
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
    """Whether two boxes show one face: their centres are close, relative to their size."""
    centres = [((f[0] + f[2]) / 2, (f[1] + f[3]) / 2) for f in (one, other)]
    distance = np.hypot(centres[0][0] - centres[1][0], centres[0][1] - centres[1][1])
    return bool(distance < _SAME_PLACE * size_of(other))
