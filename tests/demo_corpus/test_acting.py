"""Faces that speak and feel."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.demo_corpus.acting import intensity_track, perform, rng_of
from pipeline.demo_corpus.action_units import Muscles
from pipeline.demo_corpus.emotion_profiles import EMOTIONS
from pipeline.demo_corpus.geometry import face_points
from pipeline.demo_corpus.prosody import read_aloud
from pipeline.demo_corpus.sentences import COMMON
from pipeline.demo_corpus.speakers import CAST
from pipeline.demo_corpus.truth import face_measures
from pipeline.demo_corpus.visemes import BILABIALS, press_interval_s


@pytest.mark.parametrize("emotion", EMOTIONS)
@pytest.mark.parametrize("speaker", ["M901", "W902", "26"])
def test_lips_shut_on_every_bilabial_in_every_emotion(speaker: str, emotion: str) -> None:
    person = CAST[speaker]
    reading = read_aloud(COMMON[0], person.voice, emotion, 1.0, (0.3, 0.25), rng_of(2, emotion))
    times = (np.arange(int(reading.duration_s * 25)) + 0.5) / 25
    played = perform(
        person, reading, emotion, 1.0, times, size_px=400, view_yaw_deg=0.0, seed=1, key="k"
    )
    muscles = Muscles(face_points(person.shape))
    faces = [muscles.deform(e.units, e.jaw, e.press) for e in played.expressions]
    gaps = np.array([face_measures(face)[0] for face in faces])
    assert gaps.max() > 0.1
    found = 0
    for k, phoneme in enumerate(reading.phonemes):
        if phoneme in BILABIALS:
            start, stop = press_interval_s(reading, k)
            inside = gaps[(times >= start - 0.01) & (times <= stop + 0.01)]
            assert len(inside) >= 1
            assert inside.min() < 0.02
            found += 1
    assert found == 8


def test_intensity_rises_from_neutral_to_an_apex_and_falls() -> None:
    times = (np.arange(60) + 0.5) / 25
    level = intensity_track(times, 2.4, 1.0, np.random.default_rng(4))
    assert level[0] < 0.1
    assert 0.85 < level.max() <= 1
    assert 0.3 < level.argmax() * 0.04 < 2.0
    assert level[-1] < 0.75
    faint = intensity_track(times, 2.4, 0.32, np.random.default_rng(4))
    np.testing.assert_allclose(faint, 0.32 * level, atol=1e-12)


def test_views_of_a_take_share_the_motion() -> None:
    person = CAST["W902"]
    reading = read_aloud(COMMON[1], person.voice, "happy", 1.0, (0.2, 0.2), rng_of(3))
    times = (np.arange(40) + 0.5) / 25
    front, side = (
        perform(
            person, reading, "happy", 1.0, times, size_px=200, view_yaw_deg=yaw, seed=1, key="k"
        )
        for yaw in (0.0, -30.0)
    )
    for a, b, e, f in zip(
        front.poses, side.poses, front.expressions, side.expressions, strict=True
    ):
        assert b.yaw_deg == pytest.approx(a.yaw_deg - 30)
        assert b.pitch_deg == a.pitch_deg
        np.testing.assert_array_equal(e.units, f.units)
