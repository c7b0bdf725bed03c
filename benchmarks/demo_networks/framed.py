"""Rendered faces as network input: framed images with weights per pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.demo_networks.drawn_faces import F64, U8, FaceSet
from pipeline.demo_corpus.geometry import LOWER_OUTER, OVAL, UPPER_OUTER
from pipeline.faces.affine import apply, compose
from pipeline.faces.framing import ffhq
from pipeline.faces.sampling import sample

_BEHIND, _FACE, _EYES, _MOUTH = 60, (100,), (200,), (255,)
"""Weights of facial regions in hundredths; lips and eyes are small but most expressive."""
_EYE_LEFT = (70, 63, 105, 66, 107, 55, 133, 145, 33)
_EYE_RIGHT = (300, 293, 334, 296, 336, 285, 362, 374, 263)
_WEIGHT_SHRINK = 2


@dataclass(frozen=True)
class Framed:
    """The images of a `FaceSet` in the framing `ffhq`, in its order.

    Attributes
    ----------
    images
        (n, size, size, 3) uint8 RGB.
    weights
        (n, size / 2, size / 2) uint8, hundredths.
    """

    images: U8
    weights: U8


def framed_faces(
    faces: FaceSet, size_px: int, done: Callable[[int, int], None] = lambda made, total: None
) -> Framed:
    """Frame all images."""
    images, weights = [], []
    for number, part in enumerate(faces.parts()):
        rng = np.random.default_rng([number, 31])
        for landmarks, image in zip(part.landmarks, part.images(), strict=True):
            matrix = compose(jitter(rng, size_px), ffhq(landmarks, size_px))
            images.append(sample(image, matrix, size_px))
            weights.append(importance(apply(matrix, landmarks), size_px))
        done(number + 1, len(faces.paths))
    return Framed(np.stack(images), np.stack(weights))


def jitter(rng: np.random.Generator, size_px: int) -> F64:
    """A random similarity about the centre, like the framing error of measured landmarks.

    Standard deviations of 0.5 % of the side, 1.7 % of the size and 0.6 degrees.
    """
    grow, turn = 1 + rng.normal(0, 0.017), np.deg2rad(rng.normal(0, 0.6))
    linear = grow * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.full(2, size_px / 2)
    shift = middle - linear @ middle + rng.normal(0, 0.005, 2) * size_px
    return np.column_stack([linear, shift])


def importance(landmarks: F64, size_px: int) -> U8:
    """Weight of each pixel (size / 2, size / 2), from landmarks (468, 2) in the framing."""
    side = size_px // _WEIGHT_SHRINK
    canvas = np.full((side, side), _BEHIND, np.uint8)
    points = np.round(landmarks / _WEIGHT_SHRINK).astype(np.int32)
    cv2.fillPoly(canvas, [points[OVAL]], _FACE)
    for ring in (_EYE_LEFT, _EYE_RIGHT):
        cv2.fillConvexPoly(canvas, cv2.convexHull(points[list(ring)]), _EYES)
    mouth = cv2.convexHull(points[UPPER_OUTER + LOWER_OUTER])
    cv2.fillConvexPoly(canvas, mouth, _MOUTH)
    cv2.polylines(canvas, [mouth], isClosed=True, color=_MOUTH, thickness=side // 20)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), side / 64), np.uint8)
