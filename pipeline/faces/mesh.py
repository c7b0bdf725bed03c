"""MediaPipe's face mesh: track one face through a take, and find all faces of an image.

The state of the tracker depends only on the images since `restart`, so a take's landmarks do not
depend on earlier takes. All coordinates are pixel-edge coordinates of the given image.
"""

from __future__ import annotations

import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

_SETTLE = 3
"""How often an image is processed when a face first appears: the tracker's window then is within
0.7 px of its final position, compared with 3 to 5 px after the first time."""
_START_S = 0.1
BLACK: U8 = np.zeros((64, 64, 3), np.uint8)
_HALF = 0.5
"""MediaPipe counts from the centre of the first pixel: x in an image and in its mirror image add up
to the width less one (real takes at four sizes), except for the model's error of 0.7 % of the
face."""
_GRAPH = "modules/face_landmark/face_landmark_front_cpu.binarypb"
_AT_LEAST = {
    "facedetectionshortrangecpu__facedetectionshortrange__facedetection"
    "__TensorsToDetectionsCalculator.min_score_thresh": 0.5,
    "facelandmarkcpu__ThresholdingCalculator.threshold": 0.5,
}
"""Score thresholds of detector and tracker; the defaults of FaceMesh."""
_WIRE = np.dtype(
    [("head", "u1", 3), ("x", "<f4"), ("tag_y", "u1"), ("y", "<f4"), ("tag_z", "u1"), ("z", "<f4")]
)  # wire format of a landmark with x, y and z set: ten times faster than reading attributes


class SettlingTracker(ABC):
    """A tracker whose first landmarks of a face are as accurate as later ones."""

    _seen = False

    @abstractmethod
    def look(self, rgb: U8) -> F64 | None:
        """The model's landmarks in the next image."""

    @abstractmethod
    def reset(self) -> None:
        """Restart the model, which is slow."""

    def restart(self) -> None:
        """Forget the face.

        A black image makes the tracker lose it; later results are bit for bit those of a new
        object. `reset` does the same, ten times slower and with messages on stderr.
        """
        with quiet():
            for _ in range(_SETTLE):
                if self.look(BLACK) is None:
                    break
            else:
                self.reset()
        self._seen = False

    def track(self, rgb: U8) -> F64 | None:
        """The landmarks (478, 3) in the next image, None if the face is lost.

        An image in which the face appears is processed several times, so that the first landmarks
        are as accurate as later ones.
        """
        if self._seen:
            landmarks = self.look(rgb)
        else:
            with quiet():
                landmarks = self._acquire(rgb)
        self._seen = landmarks is not None
        return landmarks

    def _acquire(self, rgb: U8) -> F64 | None:
        landmarks = self.look(rgb)
        for _ in range(_SETTLE - 1):
            landmarks = None if landmarks is None else self.look(rgb)
        return landmarks


class MeshTracker(SettlingTracker):
    """Face Mesh in tracking mode for one face.

    `refined` uses separate networks for lips and irises; without it landmarks are (468, 3).
    """

    def __init__(self, *, refined: bool = True) -> None:
        self._mesh = _face_mesh(static_image_mode=False, refine_landmarks=refined)

    def look(self, rgb: U8) -> F64 | None:
        """The landmarks (478, 3) in the next image, None if there is no face."""
        return _landmarks(self._mesh, rgb)

    def reset(self) -> None:
        """Restart the graph."""
        self._mesh.reset()


class FaceFinder:
    """Find all faces of single images: a detector proposes them, the mesh confirms them."""

    def __init__(self) -> None:
        with quiet():
            from mediapipe.python.solutions import face_detection

            # model 1 finds faces down to a twentieth of the image; 0 is for selfies
            self._detector = face_detection.FaceDetection(
                model_selection=1, min_detection_confidence=0.5
            )
            _start(self._detector)
        self._mesh = _face_mesh(static_image_mode=True, refine_landmarks=False)

    def propose(self, rgb: U8) -> list[tuple[float, float, float, float]]:
        """Boxes (left, top, right, bottom) of possible faces, by descending score."""
        height, width = rgb.shape[:2]
        with quiet():
            detections = self._detector.process(rgb).detections or []
        boxes = [d.location_data.relative_bounding_box for d in detections]
        return [
            (
                b.xmin * width,
                b.ymin * height,
                (b.xmin + b.width) * width,
                (b.ymin + b.height) * height,
            )
            for b in boxes
        ]

    def best(self, rgb: U8) -> tuple[float, F64 | None]:
        """The detector's surest face in an image (h, w, 3).

        Returns
        -------
        Its score (0.5 to 1) and its eyes, nose tip and mouth (4, 2) in pixels; 0 and None where the
        detector sees no face.
        """
        height, width = rgb.shape[:2]
        with quiet():
            detections = self._detector.process(rgb).detections or []
        if not detections:
            return 0.0, None
        surest = max(detections, key=lambda d: d.score[0])
        points = surest.location_data.relative_keypoints[:4]  # the ears follow
        keypoints = np.array([(point.x * width, point.y * height) for point in points])
        return float(surest.score[0]), keypoints

    def confirm(self, rgb: U8) -> F64 | None:
        """The landmarks (468, 3) of a face in an image cropped around it, None if there is none."""
        with quiet():
            return _landmarks(self._mesh, rgb)


def _face_mesh(*, static_image_mode: bool, refine_landmarks: bool) -> Any:
    """`mediapipe.solutions.face_mesh.FaceMesh` for one face, bit for bit, on the caller's thread.

    The original graph uses a thread pool, which costs a seventh more CPU time and makes parallel
    workers compete for cores.
    """
    with quiet():
        import mediapipe
        from mediapipe.framework.calculator_pb2 import CalculatorGraphConfig
        from mediapipe.python.solution_base import SolutionBase

        content = Path(mediapipe.__file__).parent.joinpath(_GRAPH).read_bytes()
        graph = CalculatorGraphConfig.FromString(content)
        graph.executor.add().type = "ApplicationThreadExecutor"
        mesh = SolutionBase(
            graph_config=graph,
            side_inputs={
                "num_faces": 1,
                "with_attention": refine_landmarks,
                "use_prev_landmarks": not static_image_mode,
            },
            calculator_params=_AT_LEAST,
            outputs=["multi_face_landmarks"],
        )
        _start(mesh)
    return mesh


def _start(solution: Any) -> None:
    """Wait for the models to start; they print from threads after the first image."""
    solution.process(BLACK)
    time.sleep(_START_S)


def _landmarks(mesh: Any, rgb: U8) -> F64 | None:
    height, width = rgb.shape[:2]
    faces = mesh.process(rgb).multi_face_landmarks
    if not faces:
        return None
    return in_pixels(_coordinates(faces[0]), width, height)


def in_pixels(relative: F64, width: int, height: int) -> F64:
    """MediaPipe's coordinates (n, 3), relative to the image's sides, as pixel-edge coordinates."""
    landmarks: F64 = relative * (width, height, width) + (_HALF, _HALF, 0.0)
    return landmarks


def _coordinates(face: Any) -> F64:
    """(n, 3) of a landmark message, relative to the image's sides."""
    wire: bytes = face.SerializeToString()
    if len(wire) != len(face.landmark) * _WIRE.itemsize:
        return np.array([(p.x, p.y, p.z) for p in face.landmark], dtype=np.float64)
    rows = np.frombuffer(wire, _WIRE)
    return np.stack([rows[axis].astype(np.float64) for axis in "xyz"], axis=1)


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress what MediaPipe's C++ code prints when a graph starts.

    There is no option for it: the logs ignore GLOG_minloglevel before absl is initialised, which
    the wheel never does. It costs two system calls, so it is used only where graphs start or run
    rarely.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
