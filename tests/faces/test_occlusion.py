"""Covers of the mouth are detected by the colours around it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.faces.occlusion import AROUND_MOUTH, is_covered, otherness, skin_around_mouth
from tests.builders.drawn_faces import drawn, rgb


def take(*, covered: range = range(0), which: int = 0) -> np.ndarray:
    """The skins of a head that nods and talks, a ball before its mouth in some frames."""
    skins = []
    for i in range(16):
        pose = drawn(yaw_deg=8 * np.sin(i / 3), jaw=0.4 * (i % 4) / 3, which=which, frame=i)
        image = rgb(pose).copy()
        if i in covered:
            x, y = pose.landmarks_px[17].round().astype(int).tolist()
            cv2.circle(image, (x, y), 30, (40, 40, 45), -1)
        landmarks = np.column_stack([pose.landmarks_px, np.zeros(len(pose.landmarks_px))])
        skins.append(skin_around_mouth(image, landmarks))
    return np.array(skins)


@pytest.mark.slow
def test_a_ball_before_the_mouth_is_seen_in_its_frames() -> None:
    for which in range(3):
        skins = take(covered=range(5, 10), which=which)
        assert np.flatnonzero(is_covered(skins, np.zeros((16, 3)))).tolist() == [*range(5, 10)]


@pytest.mark.slow
def test_talking_and_nodding_cover_nothing() -> None:
    for which in range(6):
        assert not is_covered(take(which=which), np.zeros((16, 3))).any()


@pytest.mark.slow
@pytest.mark.parametrize("pose", [(40.0, 0.0, 0.0), (0.0, -20.0, 0.0), (0.0, 0.0, 0.4)])
def test_unusual_poses_are_not_judged(pose: tuple[float, float, float]) -> None:
    poses = np.zeros((16, 3))
    poses[5:10] = pose
    assert not is_covered(take(covered=range(5, 10)), poses).any()


def test_colours_are_those_at_the_points() -> None:
    y, x = np.mgrid[:256, :256].astype(np.uint8)
    crop = np.stack([x, y, np.full_like(x, 7)], axis=2)
    points = np.random.default_rng(0).uniform(60, 200, (478, 3))
    got = skin_around_mouth(crop, points).astype(float)
    assert got.shape == (len(AROUND_MOUTH), 3)
    assert np.abs(got[:, :2] + 0.5 - points[AROUND_MOUTH, :2]).max() < 3.1


def test_a_face_beyond_the_crop_is_read_at_its_border() -> None:
    crop = np.full((64, 64, 3), 90, np.uint8)
    for away in (-500.0, 500.0):
        assert (skin_around_mouth(crop, np.full((478, 3), away)) == 90).all()
    assert otherness(np.full((3, 47, 3), 90, np.uint8)).tolist() == [0, 0, 0]
