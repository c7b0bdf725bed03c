"""Rendered images of random identities with ground truth: the training data of the demo's networks.

They use the renderer and frame size of the demo corpus, so that an image looks like a decoded frame
of it. There is one file per identity; existing files are reused, also by several trainings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.demo_networks.random_identities import invent
from pipeline.demo_corpus.acting import HEAD_SHARE, speaking_face, unit_gains
from pipeline.demo_corpus.action_units import UNIT_INDEX
from pipeline.demo_corpus.emotion_profiles import EMOTIONS, FACES, Face
from pipeline.demo_corpus.head import Expression, Head
from pipeline.demo_corpus.head_pose import Pose
from pipeline.demo_corpus.speakers import Person
from pipeline.demo_corpus.takes import VIEW_YAW_DEG
from pipeline.demo_corpus.truth import N_POINTS, face_measures
from pipeline.demo_corpus.visemes import JAW, PRESS, shape_of
from pipeline.digests import digest
from pipeline.errors import ParameterError, PipelineError
from pipeline.media.jpeg import decode_jpeg, use_one_thread
from pipeline.runtime import executor
from pipeline.runtime.store import atomic_path

F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]

VERSION = 1
_LANDMARK_STEPS = 64  # fixed point: 1/64 px
_JPEG_QUALITY = 95  # as of the stored crop
_SIDE_VIEWS = 0.06  # share of images from the demo's second camera
_PHONEMES = (
    "_", "_", "_", "p", "f", "t", "s", "S", "k", "r", "l", "w", "A:", "aI", "a", "V", "E", "eI",
    "i:", "I", "O:", "oU", "u:", "3:",
)  # fmt: skip
_SHOWN = (*EMOTIONS, "neutral")
"""The sequence of emotions per identity; neutral twice, because all others start from it."""

FACES_SCHEMA = pa.schema(
    {
        "person": pa.string(),
        "held_out": pa.bool_(),
        "emotion": pa.string(),
        "intensity": pa.float32(),
        "view": pa.string(),
        "mouth_open": pa.float32(),
        "mouth_width": pa.float32(),
        "eye_open": pa.float32(),
        "yaw_deg": pa.float32(),
        "pitch_deg": pa.float32(),
        "roll_deg": pa.float32(),
        "landmarks_64": pa.list_(pa.int16(), 2 * N_POINTS),
        "image": pa.binary(),
    }
)


@dataclass(frozen=True)
class FacesParams:
    """The parameters of the rendered images.

    Attributes
    ----------
    seed
        The random seed.
    people, held_out
        The number of identities, and how many of them (the last) are held out from training.
    images
        Images per identity.
    frame_px
        Side of an image, as in the demo corpus.
    """

    seed: int
    people: int
    held_out: int
    images: int
    frame_px: int

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < self.people:
            raise ParameterError(
                f"{self.held_out} of {self.people} people are held out: fewer than there are"
            )
        if self.images < 1 or self.frame_px < 64:
            raise ParameterError(
                f"{self.images} images of {self.frame_px} px: at least 1, and 64 px"
            )


SHIPPED_FACES = FacesParams(seed=7, people=260, held_out=20, images=64, frame_px=400)
"""The data of the published networks: 16,640 images, 15,360 of them for training."""


@dataclass(frozen=True)
class _Job:
    """One identity to be rendered into one file."""

    params: FacesParams
    index: int
    path: Path


def draw_faces(
    params: FacesParams,
    folder: Path,
    *,
    workers: int,
    done: Callable[[int, int], None] = lambda made, total: None,
) -> FaceSet:
    """Render the identities without a file, and return all images.

    Parameters
    ----------
    folder
        The parent folder; each set of parameters gets a subfolder of its own.
    done
        Called with the number of rendered identities and the total.
    """
    home = folder / digest({"version": VERSION, **asdict(params)})[:12]
    paths = [home / f"P{index:04d}.parquet" for index in range(params.people)]
    jobs = {
        path.stem: _Job(params, index, path)
        for index, path in enumerate(paths)
        if not path.exists()
    }
    done(len(paths) - len(jobs), len(paths))
    outcomes = executor.run(
        _draw_person, jobs, setup=use_one_thread, engine="processes", workers=workers
    )
    for n, (name, outcome) in enumerate(outcomes, len(paths) - len(jobs) + 1):
        if isinstance(outcome, executor.Died):
            raise PipelineError(f"the process that drew {name} died; run the command again")
        done(n, len(paths))
    return FaceSet(paths)


class FaceSet:
    """Images of `draw_faces` by number; columns are in memory, images are decoded on access.

    Attributes
    ----------
    paths
        The files, one per identity.
    person, emotion
        (n,) names.
    held_out
        (n,) whether the image's identity is held out from training.
    intensity
        (n,) 0..1 strength of the emotion; 0 for neutral.
    mouth_open, mouth_width, eye_open
        (n,) true measures of the head, over the distance of the outer eye corners.
    """

    def __init__(self, paths: list[Path]) -> None:
        columns = [name for name in FACES_SCHEMA.names if name != "image"]
        table = pa.concat_tables(pq.read_table(path, columns=columns) for path in paths)
        self.paths = paths
        self.person, self.emotion = (
            np.asarray(table[name].to_pylist()) for name in ("person", "emotion")
        )
        self.held_out: NDArray[np.bool_] = table["held_out"].to_numpy()
        self.intensity, self.mouth_open, self.mouth_width, self.eye_open = (
            table[name].to_numpy()
            for name in ("intensity", "mouth_open", "mouth_width", "eye_open")
        )
        self._steps = table["landmarks_64"]

    def __len__(self) -> int:
        return len(self.person)

    @cached_property
    def landmarks(self) -> F64:
        """(n, 468, 2) true landmarks in pixels of the frame (MediaPipe's numbering)."""
        flat = self._steps.combine_chunks().flatten().to_numpy()
        return np.asarray(flat.reshape(-1, N_POINTS, 2) / _LANDMARK_STEPS)

    def parts(self) -> Iterator[FaceSet]:
        """The images of each identity."""
        return (FaceSet([path]) for path in self.paths)

    def images(self) -> Iterator[U8]:
        """All frames (frame_px, frame_px, 3) RGB, in order."""
        for path in self.paths:
            for image in pq.read_table(path, columns=["image"])["image"].to_pylist():
                yield decode_jpeg(image)


def _draw_person(_: None, job: _Job) -> int:
    """Render all images of one identity into its file and return their number."""
    params = job.params
    person = invent(params.seed, job.index)
    head = Head(person, params.frame_px)
    rng = np.random.default_rng([params.seed, job.index, 22])
    rows = [
        _row(head, emotion, rng, params.seed)
        | {"held_out": job.index >= params.people - params.held_out}
        for emotion in (_SHOWN[k % len(_SHOWN)] for k in range(params.images))
    ]
    with atomic_path(job.path) as temporary:
        pq.write_table(
            pa.Table.from_pylist(rows, FACES_SCHEMA), temporary, compression="none",
            use_dictionary=False,
        )  # fmt: skip
    return len(rows)


def _row(head: Head, emotion: str, rng: np.random.Generator, seed: int) -> dict[str, Any]:
    """Render one image and return it with its ground truth."""
    level = 0.0 if emotion == "neutral" else float(rng.uniform(0.08, 1.0))
    view = "left_30" if rng.random() < _SIDE_VIEWS else "front"
    pose = _pose(FACES[emotion], level, VIEW_YAW_DEG[view], head.size_px, rng)
    drawn = head.draw(_expression(head.person, emotion, level, pose, rng, seed), pose, 0)
    mouth_open, mouth_width, eye_open = face_measures(drawn.face)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    return {
        "person": head.person.speaker,
        "emotion": emotion,
        "intensity": level,
        "view": view,
        "mouth_open": mouth_open,
        "mouth_width": mouth_width,
        "eye_open": eye_open,
        "yaw_deg": pose.yaw_deg,
        "pitch_deg": pose.pitch_deg,
        "roll_deg": pose.roll_deg,
        "landmarks_64": np.round(drawn.landmarks_px.ravel() * _LANDMARK_STEPS).astype(np.int16),
        "image": cv2.imencode(".jpg", drawn.image, quality)[1].tobytes(),
    }


def _pose(
    face: Face, level: float, view_yaw_deg: float, size_px: int, rng: np.random.Generator
) -> Pose:
    """A random head pose with the distribution of `acting`."""
    side = rng.choice([-1.0, 1.0], 2)
    yaw = rng.normal(0, 6.0) + side[0] * face.yaw_deg * level
    pitch = rng.normal(0, 2.8) + face.pitch_deg * level - 2.5 * max(0.0, rng.uniform(-1.5, 1.0))
    roll = rng.normal(0, 2.2) + side[1] * face.roll_deg * level
    scale = HEAD_SHARE * size_px * rng.uniform(0.96, 1.04) * (1 + face.lean * level)
    return Pose(
        float(yaw + view_yaw_deg),
        float(pitch),
        float(roll),
        float(scale),
        float(size_px * (0.5 + rng.normal(0, 0.014))),
        float(size_px * (0.745 + rng.normal(0, 0.008))),
        view_yaw_deg,
    )


def _mouth(rng: np.random.Generator) -> F64:
    """(1, 5) jaw, wide, round, press, tuck at a random point between two phonemes."""
    one, other = (np.array(shape_of(str(rng.choice(_PHONEMES)))) for _ in range(2))
    share = rng.uniform()
    shape = share * one + (1 - share) * other
    shape[PRESS] = np.clip(shape[PRESS] / 0.55, 0, 1)
    shape[JAW] *= (1 - shape[PRESS]) * rng.uniform(0.7, 1.05)
    return np.asarray(np.clip(shape, 0, 1)[None])


def _expression(
    person: Person, emotion: str, level: float, pose: Pose, rng: np.random.Generator, seed: int
) -> Expression:
    """A speaking face with an emotion, random gaze and occasional blinks."""
    face, mouth = FACES[emotion], _mouth(rng)
    units, jaw = speaking_face(face, unit_gains(person, emotion, seed), np.array([level]), mouth)
    unit = units[0]
    stress = max(0.0, rng.uniform(-1.0, 1.0)) * rng.uniform(0.3, 1.0)
    unit[:, UNIT_INDEX["1"]] += 0.22 * stress
    unit[:, UNIT_INDEX["2"]] += 0.18 * stress
    blink = rng.uniform() if rng.random() < 0.08 else 0.0
    unit[:, UNIT_INDEX["43"]] = np.maximum(unit[:, UNIT_INDEX["43"]], blink)
    for name in ("5", "7"):
        unit[:, UNIT_INDEX[name]] *= 1 - blink
    held = np.deg2rad([-1.5 * pose.yaw_deg, -1.2 * pose.pitch_deg])
    gaze = np.clip(rng.normal(0, [0.10, 0.05]) + held, -0.9, 0.9) + level * np.array(face.gaze)
    return Expression(unit, float(jaw[0]), (float(gaze[0]), float(gaze[1])), float(mouth[0, PRESS]))
