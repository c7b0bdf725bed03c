"""Rendered faces as network input: framed images with weights per pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import cv2
import numpy as np

from pipeline.demo_corpus.geometry import LOWER_OUTER, OVAL, UPPER_OUTER
from pipeline.errors import PipelineError
from pipeline.faces.affine import apply, compose
from pipeline.faces.framing import ffhq
from pipeline.faces.sampling import sample
from pipeline.runtime import executor
from pipeline.runtime.store import atomic_path
from pipeline.tools.train_demo.drawn_faces import F64, U8, FaceSet

VERSION = 1
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


@dataclass(frozen=True)
class _Job:
    part: Path
    target: Path
    size_px: int
    seed: int


def framed_faces(
    faces: FaceSet,
    size_px: int,
    *,
    workers: int,
    done: Callable[[int, int], None] = lambda made, total: None,
) -> Framed:
    """Frame all images; those of an identity are computed once and stored in a file."""
    jobs = {
        path.stem: _Job(path, path.with_suffix(f".ffhq{size_px}-{VERSION}.npz"), size_px, n)
        for n, path in enumerate(faces.paths)
    }
    each_once(_frame, jobs, workers=workers, done=done)
    parts = [np.load(job.target) for job in jobs.values()]
    return Framed(*(np.concatenate([part[name] for part in parts]) for name in ("rgb", "weight")))


class Job(Protocol):
    """The images of one identity to frame."""

    @property
    def target(self) -> Path:
        """The output file."""


AnyJob = TypeVar("AnyJob", bound=Job)


def each_once(
    frame: Callable[[None, AnyJob], int],
    jobs: Mapping[str, AnyJob],
    *,
    workers: int,
    done: Callable[[int, int], None],
) -> None:
    """Run the jobs whose file does not exist yet on `workers` processes.

    Raises
    ------
    PipelineError
        When a process crashed repeatedly; finished files are kept.
    """
    todo = {name: job for name, job in jobs.items() if not job.target.exists()}
    outcomes = executor.run(frame, todo, setup=_one_thread, engine="processes", workers=workers)
    for n, (name, outcome) in enumerate(outcomes, len(jobs) - len(todo) + 1):
        if isinstance(outcome, executor.Died):
            raise PipelineError(f"the process that framed {name} died; run the command again")
        done(n, len(jobs))


def _one_thread() -> None:
    cv2.setNumThreads(1)


def _frame(_: None, job: _Job) -> int:
    faces, rng = FaceSet([job.part]), np.random.default_rng([job.seed, 31])
    images, weights = [], []
    for landmarks, image in zip(faces.landmarks, faces.images(), strict=True):
        matrix = compose(jitter(rng, job.size_px), ffhq(landmarks, job.size_px))
        images.append(sample(image, matrix, job.size_px))
        weights.append(importance(apply(matrix, landmarks), job.size_px))
    with atomic_path(job.target) as temporary, temporary.open("wb") as stream:
        np.savez(stream, rgb=np.stack(images), weight=np.stack(weights))
    return len(images)


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
