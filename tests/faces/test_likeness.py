"""Views of rendered heads, their differences and groups."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.demo_corpus.head import Drawn
from pipeline.faces import likeness
from pipeline.faces.affine import F64
from tests.builders.drawn_faces import SIZE_PX, drawn, rgb


def points(head: Drawn) -> F64:
    return np.asarray(head.landmarks_px, dtype=np.float64)


def portrait(*heads: Drawn) -> F64:
    views = [likeness.view(rgb(head), points(head)) for head in heads]
    return likeness.portrait([view for view in views if view is not None])


def test_one_face_is_alike_in_other_places_sizes_and_exposures() -> None:
    calm = drawn()
    moved = drawn(shift_px=0.1 * SIZE_PX, roll_deg=8.0, frame=5)
    assert likeness.difference(portrait(calm), portrait(moved)) < 0.15
    view = likeness.view(rgb(calm), points(calm))
    assert view is not None
    darker = likeness.portrait([0.6 * view + 10])
    assert likeness.difference(likeness.portrait([view]), darker) == pytest.approx(0, abs=1e-9)


def test_two_people_differ_more_than_one_who_talks_and_turns() -> None:
    calm = portrait(drawn())
    talking = portrait(drawn(yaw_deg=6.0, jaw=0.6))
    assert likeness.difference(calm, talking) < 0.4
    others = [portrait(drawn(which=which)) for which in (1, 2, 3)]
    assert min(likeness.difference(calm, other) for other in others) > 0.5


def test_landmarks_on_a_point_give_no_view() -> None:
    assert likeness.view(rgb(drawn()), np.full((478, 3), 5.0)) is None


def test_chains_of_takes_are_one_group() -> None:
    steps = {f"t{k}": np.full(4, 0.3 * k) for k in range(4)}
    assert likeness.difference(steps["t0"], steps["t3"]) == pytest.approx(0.9)
    assert likeness.groups(steps, 0.3001) == dict.fromkeys(steps, 0)
    del steps["t2"]
    assert likeness.groups(steps, 0.3001) == {"t0": 0, "t1": 0, "t3": 1}
    assert likeness.groups({}, 0.5) == {}
