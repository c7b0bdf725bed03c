"""Measures from landmarks with known geometry."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.faces.measures import EYELIDS, INNER_LIPS, bounds, has_jumped, measure
from tests.builders.drawn_faces import drawn


def face() -> np.ndarray:
    landmarks = np.zeros((478, 3))
    landmarks[:468, :2] = drawn().landmarks_px
    return landmarks


def test_shapes_are_over_the_distance_of_the_outer_eye_corners() -> None:
    landmarks = face()
    landmarks[[33, 263, 61, 291], :2] = [(100, 100), (200, 100), (120, 180), (170, 180)]
    for upper, lower in INNER_LIPS:
        landmarks[[upper, lower], :2] = [(150, 180), (150, 190)]
    for upper, lower in EYELIDS:
        landmarks[[upper, lower], :2] = [(110, 100), (110, 106)]
    got = measure(landmarks)
    assert got.interocular_px == pytest.approx(100)
    assert got.mouth_open == pytest.approx(0.10)
    assert got.mouth_width == pytest.approx(0.50)
    assert got.eye_open == pytest.approx(0.06)


def test_roll_is_positive_clockwise() -> None:
    landmarks = face()
    angle = np.radians(10)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = landmarks.copy()
    turned[:, :2] = landmarks[:, :2] @ turn  # x right, y down: clockwise as seen
    assert measure(turned).roll_deg - measure(landmarks).roll_deg == pytest.approx(10, abs=0.5)


def test_a_jump_is_faster_than_heads_move() -> None:
    landmarks = face()
    eyes_px = measure(landmarks).interocular_px
    step = np.array([0.3 * eyes_px, 0.0, 0.0])
    assert not has_jumped(landmarks, landmarks + step, 0.04)
    assert has_jumped(landmarks, landmarks + 2 * step, 0.04)
    assert not has_jumped(landmarks, landmarks + 2 * step, 0.08)
    assert has_jumped(landmarks, landmarks * 1.3, 0.04)


def test_bounds_are_the_outermost_landmarks() -> None:
    landmarks = np.full((478, 3), 50.0)
    landmarks[3] = (10, 70, 5)
    landmarks[4] = (90, 20, 5)
    assert bounds(landmarks) == (10, 20, 90, 70)


def test_many_faces_measure_as_each_alone() -> None:
    faces = np.stack([face() * scale + shift for scale, shift in ((1, 0), (1.3, 7), (0.6, -3))])
    together = measure(faces)
    for k, one in enumerate(faces):
        for name, value in vars(measure(one)).items():
            assert getattr(together, name)[k] == pytest.approx(float(value), rel=1e-9, abs=1e-9)
    assert has_jumped(faces[:2], faces[1:], np.array([0.04, 0.04])).tolist() == [True, True]
