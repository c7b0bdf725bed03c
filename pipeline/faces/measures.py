"""Measure 478 landmarks: head pose, mouth, eyes and the face's box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

OUTER_EYE_CORNERS = (33, 263)
MOUTH_CORNERS = (61, 291)
INNER_LIPS = ((82, 87), (13, 14), (312, 317))
"""Upper and lower inner lip at the centre and next to it."""
EYELIDS = ((160, 144), (159, 145), (158, 153), (385, 380), (386, 374), (387, 373))

RIGID = np.array((
    33, 133, 362, 263, 127, 356, 234, 454, 21, 251, 54, 284, 103, 332, 10, 151, 9, 8, 168, 6,
    197, 195, 162, 389, 67, 297, 5, 4, 1, 2, 98, 327, 93, 323,
))  # fmt: skip
"""Eye corners, temples, forehead, nose: points that hardly move with expression."""

_REFERENCE = np.array(
    [(-507, 23, 0), (-191, 9, 63), (191, 9, 63), (507, 23, 0), (-780, -24, -509),
     (780, -24, -509), (-767, -171, -547), (767, -171, -547), (-741, 262, -288),
     (741, 262, -288), (-677, 385, -171), (677, 385, -171), (-570, 485, -48), (570, 485, -48),
     (0, 587, 149), (0, 425, 197), (0, 261, 230), (0, 168, 224), (0, 86, 232), (0, 2, 288),
     (0, -72, 350), (0, -140, 416), (-773, 134, -415), (773, 134, -415), (-401, 552, 66),
     (401, 552, 66), (0, -212, 486), (0, -302, 523), (0, -371, 498), (0, -436, 303),
     (-180, -409, 241), (180, -409, 241), (-753, -319, -542), (753, -319, -542)],
    dtype=np.float64,
)  # fmt: skip
"""`RIGID` on the head that this project renders, in thousandths of the distance between its outer
eye corners; x to the image's right, y up, z towards the camera."""

_YAW_SLOPE = 0.83
_PITCH_SLOPE, _PITCH_OFFSET_DEG = 0.91, -2.8
"""MediaPipe's depth is flattened: slopes of the fitted angles over the truth of 144 rendered heads.

The demo's six speakers, faces at random, yaw within 30 and pitch within 15 degrees. Left after
correction, root mean square: 1.1 degrees of yaw, 1.7 of pitch, 0.9 of roll. Real faces that look
straight ahead get 5 to 20 degrees of pitch: the zero is the rendered head's; use differences.
"""


@dataclass(frozen=True)
class Measures:
    """Faces (...): angles signed as in records.FRAMES_SCHEMA, shapes over `interocular_px`."""

    yaw_deg: F64
    pitch_deg: F64
    roll_deg: F64
    mouth_open: F64
    mouth_width: F64
    eye_open: F64
    interocular_px: F64


def measure(landmarks: F64) -> Measures:
    """The measures (...) of faces from landmarks (..., 478, 3) in pixels."""
    flat = landmarks[..., :2]
    interocular_px = np.maximum(_distance(flat, *OUTER_EYE_CORNERS), 1e-6)
    yaw, pitch, roll = head_pose(landmarks)
    return Measures(
        yaw,
        pitch,
        roll,
        np.mean([_distance(flat, *pair) for pair in INNER_LIPS], axis=0) / interocular_px,
        _distance(flat, *MOUTH_CORNERS) / interocular_px,
        np.mean([_distance(flat, *pair) for pair in EYELIDS], axis=0) / interocular_px,
        interocular_px,
    )


def head_pose(landmarks: F64) -> tuple[F64, F64, F64]:
    """Yaw, pitch and roll (...) in degrees, signs as records.FRAMES_SCHEMA.

    The rotation from the reference head's rigid points to the landmarks (Kabsch 1976), as
    Rz(roll) Rx(pitch) Ry(yaw), yaw and pitch then corrected for the flattened depth.
    """
    points = landmarks[..., RIGID, :] * (1.0, -1.0, -1.0)
    points -= points.mean(axis=-2, keepdims=True)
    u, _, vt = np.linalg.svd(_CENTRED.T @ points)
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[..., None]
    rotation = u @ vt  # transposed
    yaw = np.degrees(np.arctan2(-rotation[..., 0, 2], rotation[..., 2, 2]))
    pitch = -np.degrees(np.arcsin(np.clip(rotation[..., 1, 2], -1.0, 1.0)))
    roll = np.degrees(np.arctan2(rotation[..., 1, 0], rotation[..., 1, 1]))
    return yaw / _YAW_SLOPE, (pitch - _PITCH_OFFSET_DEG) / _PITCH_SLOPE, roll


def bounds(landmarks: F64) -> tuple[float, float, float, float]:
    """The face's box as left, top, right, bottom."""
    left, top = landmarks[:, :2].min(axis=0)
    right, bottom = landmarks[:, :2].max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def outside_share(landmarks: F64, width_px: int, height_px: int) -> float:
    """The share (0 to 1) of landmarks (n, 2 or more) that are outside an image of this size."""
    x, y = landmarks[:, 0], landmarks[:, 1]
    return float(np.mean((x < 0) | (y < 0) | (x > width_px) | (y > height_px)))


def mean_move(before: F64, now: F64) -> float:
    """Mean distance between two sets of landmarks (n, 2 or more), in interocular distances."""
    interocular_px = max(float(_distance(before, *OUTER_EYE_CORNERS)), 1e-6)
    return float(np.linalg.norm(now[:, :2] - before[:, :2], axis=1).mean()) / interocular_px


def keypoint_error(landmarks: F64, keypoints: F64) -> float:
    """Mean distance of a detector's eyes, nose tip and mouth (4, 2) from a mesh's (478, 2 or more),
    in interocular distances."""
    flat = landmarks[:, :2]
    mesh = np.array([flat[list(points)].mean(axis=0) for points in _KEYPOINTS])
    interocular_px = max(float(_distance(flat, *OUTER_EYE_CORNERS)), 1e-6)
    return float(np.linalg.norm(mesh - keypoints, axis=1).mean()) / interocular_px


def head_move(before: F64, now: F64) -> float:
    """Median path of the points that hardly move with expression, in interocular distances."""
    interocular_px = max(float(_distance(before, *OUTER_EYE_CORNERS)), 1e-6)
    paths = np.linalg.norm(now[RIGID, :2] - before[RIGID, :2], axis=1)
    return float(np.median(paths)) / interocular_px


def has_jumped(before: F64, now: F64, elapsed_s: F64) -> NDArray[np.bool_]:
    """Whether faces (...) moved or grew more between two frames than heads do: a tracking error.

    The bound is 9 interocular distances a second (about 0.9 m/s) and a fifth in size.
    """
    interocular_px = np.maximum(_distance(before, *OUTER_EYE_CORNERS), 1e-6)
    moved = np.linalg.norm(now[..., RIGID, :2] - before[..., RIGID, :2], axis=-1)
    reach_px = _MAX_SPEED * np.maximum(elapsed_s, _SHORTEST_S) * interocular_px
    spread = _spread(now) / np.maximum(_spread(before), 1e-6)
    grown = (spread <= 1 / _MAX_GROWTH) | (spread >= _MAX_GROWTH)
    return np.asarray((np.median(moved, axis=-1) > reach_px) | grown)


_KEYPOINTS = ((33, 133), (362, 263), (4,), (13, 14))
_MAX_SPEED = 9.0
_SHORTEST_S = 1 / 30
_MAX_GROWTH = 1.2
_CENTRED: F64 = _REFERENCE - _REFERENCE.mean(axis=0)


def _spread(landmarks: F64) -> F64:
    rigid = landmarks[..., RIGID, :2]
    away = rigid - rigid.mean(axis=-2, keepdims=True)
    return np.asarray(np.sqrt(np.mean(away**2, axis=(-2, -1))), dtype=np.float64)


def _distance(points: F64, one: int, other: int) -> F64:
    apart = points[..., one, :2] - points[..., other, :2]
    return np.asarray(np.hypot(apart[..., 0], apart[..., 1]), dtype=np.float64)
