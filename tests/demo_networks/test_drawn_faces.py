"""Drawn faces of invented people: new people, true numbers, one drawing for all who want it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.demo_networks.drawn_faces import SHIPPED_FACES, FaceSet, FacesParams, draw_faces
from benchmarks.demo_networks.framed import framed_faces, importance
from benchmarks.demo_networks.random_identities import invent
from pipeline.demo_corpus.emotion_profiles import EMOTIONS
from pipeline.demo_corpus.speakers import CAST
from pipeline.errors import ParameterError
from pipeline.faces.framing import ffhq

PARAMS = FacesParams(seed=3, people=3, held_out=1, images=8, frame_px=160)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[FaceSet, Path]:
    folder = tmp_path_factory.mktemp("faces")
    return draw_faces(PARAMS, folder, workers=1), folder


def test_people_are_new_and_unlike_each_other() -> None:
    people = [invent(7, k) for k in range(SHIPPED_FACES.people)]
    cast = list(CAST.values())
    looks = [(p.shape, p.hair, p.paint) for p in people]
    assert len(set(map(repr, looks))) == SHIPPED_FACES.people >= 200
    assert not {p.speaker for p in people} & {p.speaker for p in cast}
    for shown in ("shape", "paint"):
        known = [getattr(p, shown) for p in cast]
        assert not [p for p in people if getattr(p, shown) in known]
    assert invent(7, 5) == people[5]
    assert invent(8, 5) != people[5]


def test_ranges_hold_the_cast() -> None:
    people = [invent(7, k) for k in range(260)]
    for name in vars(people[0].shape):
        theirs = [getattr(p.shape, name) for p in people]
        known = [getattr(p.shape, name) for p in CAST.values()]
        assert min(theirs) <= min(known) + 0.002, name
        assert max(theirs) >= max(known) - 0.002, name


@pytest.mark.slow
def test_what_is_drawn(drawn: tuple[FaceSet, Path]) -> None:
    faces, _ = drawn
    assert len(faces) == 24
    assert faces.landmarks.shape == (24, 468, 2)
    assert sorted(set(faces.person)) == ["P0000", "P0001", "P0002"]
    assert set(faces.emotion) == set(EMOTIONS)
    assert list(faces.person[faces.held_out]) == ["P0002"] * 8
    neutral = faces.emotion == "neutral"
    assert neutral.sum() == 6
    assert np.all(faces.intensity[neutral] == 0)
    assert faces.intensity[~neutral].min() >= 0.08
    assert 0 <= faces.mouth_open.min() < 0.05 < faces.mouth_open.max() < 0.5
    assert {image.shape for image in faces.images()} == {(160, 160, 3)}


def test_truth_lies_where_the_mouth_is_drawn(drawn: tuple[FaceSet, Path]) -> None:
    faces, _ = drawn
    open_wide = int(np.argmax(faces.mouth_open))
    upper, lower = faces.landmarks[open_wide][[13, 14], 1]
    unit = np.linalg.norm(np.subtract(*faces.landmarks[open_wide][[33, 263]]))
    assert (lower - upper) / unit == pytest.approx(faces.mouth_open[open_wide], abs=0.06)
    x, y = faces.landmarks[open_wide][[13, 14]].mean(axis=0).astype(int)
    cheek_x, cheek_y = faces.landmarks[open_wide][50].astype(int)
    image = list(faces.images())[open_wide].astype(int)
    assert np.abs(image[y, x] - image[cheek_y, cheek_x]).max() > 40


@pytest.mark.slow
def test_who_is_drawn_is_not_drawn_again(drawn: tuple[FaceSet, Path]) -> None:
    faces, folder = drawn
    first, second = faces.paths[:2]
    before, kept = first.read_bytes(), second.stat().st_mtime_ns
    first.unlink()
    told: list[tuple[int, int]] = []
    again = draw_faces(PARAMS, folder, workers=1, done=lambda *count: told.append(count))
    assert first.read_bytes() == before
    assert second.stat().st_mtime_ns == kept
    assert told == [(2, 3), (3, 3)]
    assert again.paths == faces.paths
    other = draw_faces(replace(PARAMS, images=1, people=1, held_out=0), folder, workers=1)
    assert other.paths[0].parent != first.parent


@pytest.mark.slow
def test_framed_as_the_landmarks_say(drawn: tuple[FaceSet, Path]) -> None:
    faces, _ = drawn
    framed = framed_faces(faces, 64)
    assert framed.images.shape == (24, 64, 64, 3)
    assert framed.weights.shape == (24, 32, 32)
    assert np.array_equal(framed_faces(faces, 64).images, framed.images)
    matrix = ffhq(faces.landmarks[0], 64)
    placed = faces.landmarks[0] @ matrix[:, :2].T + matrix[:, 2]
    eyes = placed[[33, 133, 362, 263]].mean(axis=0)
    assert eyes == pytest.approx([32, 27], abs=5)
    weights = importance(placed, 64)
    x, y = (placed[[13, 14]].mean(axis=0) / 2).astype(int)
    assert weights[y, x] > 230
    assert weights[1, 1] == 60


@pytest.mark.parametrize(("people", "held_out"), [(3, 3), (0, 0)])
def test_somebody_is_left_to_learn_from(people: int, held_out: int) -> None:
    with pytest.raises(ParameterError, match=f"{held_out} of {people} people are held out"):
        replace(PARAMS, people=people, held_out=held_out)


def test_images_have_a_size() -> None:
    with pytest.raises(ParameterError, match="8 images of 10 px"):
        replace(PARAMS, frame_px=10)
