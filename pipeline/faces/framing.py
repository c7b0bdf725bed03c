"""Framings: the part of the full frame that an image shows, as one matrix.

A framing is a matrix from the full frame to a square image of `size_px`, both in pixel-edge
coordinates (an image of n pixels covers [0, n]). It is composed with the position of the stored
crop and sampled once; see `faces.sampling`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from pipeline.faces.affine import F64, N_MESH, invert

Framing = Literal["ned256", "ffhq", "head"]

_NED_CONTEXT = 1.4
"""Side of the square that becomes 320 px, divided by the larger side of the landmarks' box.

The papers crop a detected face, resize it to 320 and keep the middle 256 (SSERD 4.1), "tightly
framed", and do not name the detector. With 1.4 the kept 256 are 1.12 boxes wide: chin and forehead
stay inside while the head nods, and most of hair and background is cut off.
"""
_NED_KEPT = 256 / 320

EYE_LEFT = (33, 160, 158, 133, 153, 144)
"""The six points of the eye on the image's left that correspond to dlib's 36 to 41."""
EYE_RIGHT = (362, 385, 387, 263, 373, 380)
MOUTH_CORNERS = (61, 291)


def crop_to_frame(crop_x_px: float, crop_y_px: float, crop_side_px: float, crop_px: int) -> F64:
    """The matrix (2, 3) from the stored crop's pixels to the full frame."""
    scale = crop_side_px / crop_px
    return np.array([[scale, 0.0, crop_x_px], [0.0, scale, crop_y_px]])


def square(x_px: float, y_px: float, side_px: float, size_px: int) -> F64:
    """The framing of an upright square of the full frame."""
    return invert(crop_to_frame(x_px, y_px, side_px, size_px))


def face_boxes(landmarks: F64) -> F64:
    """(n, 4) centre x, y, width, height of the face in frames (n, 478, >= 2), NaN without one."""
    low = landmarks[:, :N_MESH, :2].min(axis=1)
    high = landmarks[:, :N_MESH, :2].max(axis=1)
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def ned256(boxes: F64, size_px: int) -> F64:
    """The papers' framing (2, 3): one upright square for a whole take.

    From the median of all frames' face boxes (n, 4), so the head moves in the image as it
    moved in front of the camera, and an opening mouth does not change the scale.
    """
    x, y, width, height = np.nanmedian(boxes, axis=0)
    side = max(width, height) * _NED_CONTEXT * _NED_KEPT
    return square(x - side / 2, y - side / 2, side, size_px)


def ffhq(landmarks: F64, size_px: int) -> F64:
    """FFHQ's framing (2, 3) of a frame's landmarks (478, >= 2): fixed eyes and mouth."""
    return quad_framing(quad_of_mesh(landmarks), size_px)


def quad_of_mesh(landmarks: F64) -> F64:
    """FFHQ's square (4, 2) for the mesh (478, >= 2), see `ffhq_quad`."""
    eye_left, eye_right = (landmarks[list(eye), :2].mean(axis=0) for eye in (EYE_LEFT, EYE_RIGHT))
    return ffhq_quad(eye_left, eye_right, landmarks[list(MOUTH_CORNERS), :2].mean(axis=0))


def ffhq_quad(eye_left: F64, eye_right: F64, mouth: F64) -> F64:
    """FFHQ's square as corners (4, 2): top left, bottom left, bottom right, top right.

    Karras et al. 2019, appendix A: on each side of the centre, the square extends by twice the eye
    distance or 1.8 times the eye-to-mouth distance; the centre is a tenth of the latter below the
    eyes.

    Parameters
    ----------
    eye_left, eye_right
        (2,) centre of each eye, by its side in the image.
    mouth
        (2,) midpoint of the mouth's corners.
    """
    eyes = (eye_left + eye_right) / 2
    across, down = eye_right - eye_left, mouth - eyes
    axis = across - np.array([-down[1], down[0]])
    half = max(np.hypot(*across) * 2.0, np.hypot(*down) * 1.8)
    x = axis / np.hypot(*axis) * half
    y = np.array([-x[1], x[0]])
    centre = eyes + down * 0.1
    return np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def quad_framing(quad: F64, size_px: int) -> F64:
    """The framing of a parallelogram (4, 2): top left, bottom left, bottom right, top right."""
    return invert(quad_to_frame(quad, size_px))


def quad_to_frame(quad: F64, size_px: int) -> F64:
    """The matrix (2, 3) from the image of a parallelogram to the full frame."""
    top_left, bottom_left, _, top_right = quad
    across, down = (top_right - top_left) / size_px, (bottom_left - top_left) / size_px
    return np.column_stack([across, down, top_left])
