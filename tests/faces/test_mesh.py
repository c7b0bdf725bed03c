"""The face mesh on rendered heads: positions, and independence of earlier takes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.faces.measures import measure
from pipeline.faces.mesh import FaceFinder, MeshTracker
from tests.builders.drawn_faces import EYES_PX, SIZE_PX, drawn, rgb


@pytest.fixture(scope="module")
def tracker() -> MeshTracker:
    return MeshTracker()


def track(tracker: MeshTracker, images: list[np.ndarray]) -> list[np.ndarray]:
    tracker.restart()
    found = [tracker.track(image) for image in images]
    assert all(landmarks is not None for landmarks in found)
    return found  # type: ignore[return-value]


def turning(which: int, n: int = 6) -> list[np.ndarray]:
    return [rgb(drawn(yaw_deg=3 * i, which=which, frame=i)) for i in range(n)]


@pytest.mark.slow
def test_a_take_does_not_depend_on_the_one_before(tracker: MeshTracker) -> None:
    fresh = track(MeshTracker(), turning(0))
    track(tracker, turning(1))
    again = track(tracker, turning(0))
    assert all(np.array_equal(a, b) for a, b in zip(fresh, again, strict=True))


def test_landmarks_lie_where_the_face_was_drawn(tracker: MeshTracker) -> None:
    image = drawn()
    (landmarks,) = track(tracker, [rgb(image)])
    assert landmarks.shape == (478, 3)
    error = np.linalg.norm(landmarks[:468, :2] - image.landmarks_px, axis=1)
    assert np.median(error) < 0.035 * EYES_PX


def test_the_size_of_the_image_brings_no_bias(tracker: MeshTracker) -> None:
    image = rgb(drawn())
    (small,) = track(tracker, [image])
    double = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    (large,) = track(tracker, [double])
    shift = np.median(large[:, :2] / 2 - small[:, :2], axis=0)
    assert np.abs(shift).max() < 0.12  # half a pixel forgotten would make it 0.25


@pytest.mark.parametrize("which", [0, 1, 2])
def test_pose_follows_the_head(tracker: MeshTracker, which: int) -> None:
    poses = [(-20, 0, 0), (20, 0, 0), (0, 0, -10), (0, 0, 10), (0, 10, 0), (0, -10, 0)]
    images = [rgb(drawn(*pose, which=which)) for pose in poses]
    got = [measure(track(tracker, [image])[0]) for image in images]
    assert got[1].yaw_deg - got[0].yaw_deg == pytest.approx(40, abs=5)
    # drawn heads count roll the other way round
    assert got[2].roll_deg - got[3].roll_deg == pytest.approx(20, abs=3)
    assert got[4].pitch_deg - got[5].pitch_deg == pytest.approx(20, abs=7)


def test_the_mouth_opens_with_the_jaw(tracker: MeshTracker) -> None:
    for jaw in (0.0, 0.4, 0.9):
        image = drawn(jaw=jaw)
        truth = np.zeros((478, 3))
        truth[:468, :2] = image.landmarks_px
        (landmarks,) = track(tracker, [rgb(image)])
        want = measure(truth).mouth_open
        assert measure(landmarks).mouth_open == pytest.approx(want, abs=0.04)
    assert want > 0.15


def test_a_lost_face_is_none_and_comes_back(tracker: MeshTracker) -> None:
    image = rgb(drawn())
    tracker.restart()
    nothing = np.full_like(image, 90)
    found = [tracker.track(p) is not None for p in (nothing, image, image, nothing, image)]
    assert found == [False, True, True, False, True]


def test_the_finder_confirms_faces_and_nothing_else() -> None:
    finder = FaceFinder()
    image = drawn()
    boxes = finder.propose(rgb(image))
    assert len(boxes) == 1
    landmarks = finder.confirm(rgb(image))
    assert landmarks is not None
    assert landmarks.shape == (468, 3)
    assert finder.propose(np.full((SIZE_PX, SIZE_PX, 3), 90, np.uint8)) == []
    assert finder.confirm(np.full((SIZE_PX, SIZE_PX, 3), 90, np.uint8)) is None
