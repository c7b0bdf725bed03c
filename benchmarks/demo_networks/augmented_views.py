"""Rendered faces in the framing of the stage score, with a margin for augmentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from benchmarks.demo_networks.drawn_faces import F64, U8, FaceSet
from pipeline.faces.affine import compose
from pipeline.faces.framing import face_boxes, ned256
from pipeline.faces.sampling import sample

ROOM = 1.3
"""Side of a stored view relative to the framing: the margin for shift, rotation and scale."""


def views(
    faces: FaceSet, size_px: int, done: Callable[[int, int], None] = lambda made, total: None
) -> U8:
    """All images (n, s, s, 3) with the face in ned256's square, `ROOM` times as wide."""
    images = []
    for number, part in enumerate(faces.parts(), start=1):
        for landmarks, image in zip(part.landmarks, part.images(), strict=True):
            images.append(sample(image, view_of(landmarks, size_px), size_px))
        done(number, len(faces.paths))
    return np.stack(images)


def view_of(landmarks: F64, size_px: int) -> F64:
    """The matrix (2, 3) from the frame to a view, from landmarks (468, 2)."""
    middle = size_px / 2
    wider = np.array(
        [[1 / ROOM, 0, middle * (1 - 1 / ROOM)], [0, 1 / ROOM, middle * (1 - 1 / ROOM)]]
    )
    return compose(wider, ned256(face_boxes(landmarks[None]), size_px))


@dataclass(frozen=True)
class Changes:
    """Augmentation strengths: standard deviations, and shares of the images."""

    shift: float = 0.03
    scale: float = 0.05
    turn_deg: float = 2.5
    light: float = 0.12
    contrast: float = 0.12
    tint: float = 0.04
    noise: float = 0.012
    blurred: float = 0.35
    jpeg: float = 0.25


def plain(images: U8, size_px: int) -> Tensor:
    """Views in the framing of the stage: (n, 3, s, s) in 0..1."""
    n = len(images)
    matrix = torch.eye(2, 3).repeat(n, 1, 1) / ROOM
    return _sampled(images, matrix, size_px)


def changed(images: U8, size_px: int, changes: Changes, rng: np.random.Generator) -> Tensor:
    """Views randomly moved, mirrored, relit, blurred and compressed: (n, 3, s, s) in 0..1."""
    n = len(images)
    turn = np.deg2rad(rng.normal(0, changes.turn_deg, n))
    scale = np.exp(rng.normal(0, changes.scale, n)) / ROOM
    mirror = rng.choice([-1.0, 1.0], n)
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    x, y = rng.normal(0, 2 * changes.shift / ROOM, (2, n))
    rows = np.stack([np.stack([c * mirror, -s, x], 1), np.stack([s * mirror, c, y], 1)], 1)
    moved = _sampled(images, torch.from_numpy(rows).float(), size_px)
    return _compressed(_lit(_blurred(moved, changes, rng), changes, rng), changes, rng)


def _sampled(images: U8, matrix: Tensor, size_px: int) -> Tensor:
    source = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    shape = [len(images), 3, size_px, size_px]
    grid = functional.affine_grid(matrix, shape, align_corners=False)
    return functional.grid_sample(source, grid, "bilinear", "reflection", align_corners=False)


def _blurred(images: Tensor, changes: Changes, rng: np.random.Generator) -> Tensor:
    """Blur a random share with a binomial kernel of random weight."""
    share = rng.uniform(0, 1, len(images)) * (rng.random(len(images)) < changes.blurred)
    some = np.flatnonzero(share)
    wide = functional.pad(images[some], (1, 1, 1, 1), "reflect")
    rows = (wide[:, :, :-2] + 2 * wide[:, :, 1:-1] + wide[:, :, 2:]) / 4
    soft = (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 4
    images[some] = torch.lerp(images[some], soft, _column(share[some]))
    return images


def _lit(images: Tensor, changes: Changes, rng: np.random.Generator) -> Tensor:
    """Random brightness, contrast and colour temperature, and grain."""
    n = len(images)
    gain = np.exp(rng.normal(0, changes.light, (n, 1)) + rng.normal(0, changes.tint, (n, 3)))
    contrast = _column(np.exp(rng.normal(0, changes.contrast, n)))
    chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
    grain = torch.randn(images.shape, generator=chance) * changes.noise
    lit = images * torch.from_numpy(gain).float()[:, :, None, None]
    lit = (lit - 0.5) * contrast + 0.5 + grain
    return lit.clamp(0, 1)


def _compressed(images: Tensor, changes: Changes, rng: np.random.Generator) -> Tensor:
    """Compress a random share as JPEG of quality 60 to 95."""
    for k in np.flatnonzero(rng.random(len(images)) < changes.jpeg):
        image = (images[k].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 96))]
        back = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
        assert back is not None
        images[k] = torch.from_numpy(back).permute(2, 0, 1).float() / 255
    return images


def _column(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values).float()[:, None, None, None]
