"""The second landmark backend: a `face_landmarker.task` file of MediaPipe Tasks."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ParameterError
from pipeline.faces.measures import bounds
from pipeline.faces.mesh import F64, U8, SettlingTracker, in_pixels, quiet

N_LANDMARKS = 478
_MEMBERS = ("face_detector.tflite", "face_landmarks_detector.tflite")
_FACES = 2
"""With one face, Tasks smooths the landmarks over time: mouths that open within three frames then
open by up to half less (rendered heads). With two it does not."""


def read_task(path: Path, sha256: str) -> bytes:
    """Read a task file and verify it.

    Raises
    ------
    ParameterError
        If it is missing, has another sha256, or has no face landmark model.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ParameterError(
            f"extract.landmarker: {path} cannot be read ({error.strerror}); "
            "name a face_landmarker .task file, or mesh"
        ) from error
    got = hashlib.sha256(content).hexdigest()
    if got != sha256:
        raise ParameterError(
            f"extract.landmarker: {path} has sha256 {got}, expected extract.landmarker_sha256 "
            f"{sha256 or '(none given)'}; set it to what you trust"
        )
    _check_members(path, content)
    return content


def _check_members(path: Path, content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            lacking = [name for name in _MEMBERS if name not in bundle.namelist()]
    except zipfile.BadZipFile as error:
        raise ParameterError(f"extract.landmarker: {path} is not a MediaPipe task file") from error
    if lacking:
        raise ParameterError(
            f"extract.landmarker: {path} lacks {' and '.join(lacking)}; "
            "it is a task file, but not of a face landmarker"
        )


class TaskTracker(SettlingTracker):
    """Face Landmarker in video mode, tracking one face.

    Raises
    ------
    ParameterError
        If MediaPipe cannot load the models, or they do not give 478 landmarks.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._before: F64 | None = None
        self.reset()

    def reset(self) -> None:
        """Reload the models."""
        self._tick = 0
        with quiet():
            self._task = _landmarker(self._content)

    def look(self, rgb: U8) -> F64 | None:
        """The landmarks (478, 3) of the face nearest to the last position, None if none."""
        height, width = rgb.shape[:2]
        faces = [in_pixels(face, width, height) for face in self._detect(rgb)]
        if not faces:
            self._before = None
            return None
        self._before = min(faces, key=self._strangeness)
        return self._before

    def _detect(self, rgb: U8) -> list[F64]:
        from mediapipe import Image, ImageFormat

        # the models ignore the time, so any increasing clock works
        self._tick += 1
        image = Image(image_format=ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
        detected = self._task.detect_for_video(image, self._tick).face_landmarks
        faces = [np.array([(p.x, p.y, p.z) for p in face], dtype=np.float64) for face in detected]
        if any(len(face) != N_LANDMARKS for face in faces):
            raise ParameterError(
                f"extract.landmarker: the model gives {len(faces[0])} landmarks, not {N_LANDMARKS}"
            )
        return faces

    def _strangeness(self, face: F64) -> float:
        """Sort key: distance to the last position; without one, larger faces come first."""
        if self._before is None:
            left, top, right, bottom = bounds(face)
            return -max(right - left, bottom - top)
        return float(np.median(np.linalg.norm(face[:, :2] - self._before[:, :2], axis=1)))


def _landmarker(content: bytes) -> Any:
    from mediapipe.tasks.python.core.base_options import BaseOptions
    from mediapipe.tasks.python.vision import FaceLandmarker, FaceLandmarkerOptions, RunningMode

    options = FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_buffer=content),
        running_mode=RunningMode.VIDEO,
        num_faces=_FACES,
    )
    try:
        return FaceLandmarker.create_from_options(options)
    except (RuntimeError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise ParameterError(
            f"extract.landmarker: MediaPipe cannot load the model: {first}"
        ) from error
