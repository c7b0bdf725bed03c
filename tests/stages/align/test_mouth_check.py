"""Mouths that agree or contradict each other, with and without speech."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline import params
from pipeline.alignment.frame_pairs import FrameMap
from pipeline.params import AlignFrames, AlignMouths
from pipeline.stages.align.image_time import in_image_time, sync_error_s
from pipeline.stages.align.mouth_check import accepted, lowered, mouth_gap, speech_at
from pipeline.stages.align.tracks import Track

INSTANTS = (np.arange(100) + 0.5) / 25
SYLLABLES = 0.2 * np.abs(np.sin(11 * INSTANTS + 2 * np.sin(1.7 * INSTANTS)))
FRAMES = np.arange(10, 90)


@pytest.fixture
def mouths() -> AlignMouths:
    return params.load(None).align.mouths


@pytest.fixture
def rules() -> AlignFrames:
    return params.load(None).align.frames


def _track(opening: np.ndarray, width: np.ndarray | None = None) -> Track:
    return Track(INSTANTS, opening, np.full(100, 0.5) if width is None else width)


def _frames(n: int) -> FrameMap:
    index, ones = np.arange(n, dtype=np.int32), np.ones(n)
    return FrameMap(index, index, 0 * ones, 0.02 * ones, 0.9 * ones, 0 * ones, ones, ones)


def test_a_held_expression_is_no_gap_and_another_movement_is() -> None:
    a = _track(SYLLABLES)
    held = mouth_gap(a, _track(SYLLABLES + 0.3, np.full(100, 0.8)), FRAMES, FRAMES)
    assert held.max() < 1e-9
    late = mouth_gap(a, _track(np.roll(SYLLABLES, 3)), FRAMES, FRAMES)
    assert np.median(late) > 0.06
    wide = 0.5 + 0.1 * (np.arange(100) % 4 == 0)  # never visible in the opening
    assert np.median(mouth_gap(a, _track(SYLLABLES, wide), FRAMES, FRAMES)) > 0.015


def test_an_unseen_mouth_has_no_gap() -> None:
    unseen = np.where(np.arange(100) < 50, SYLLABLES, np.nan)
    gap = mouth_gap(_track(SYLLABLES), _track(unseen), np.array([20, 80]), np.array([20, 80]))
    assert np.isfinite(gap).tolist() == [True, False]


def test_the_instant_decides_and_not_the_index() -> None:
    late = Track(INSTANTS + 0.12, np.roll(SYLLABLES, 0), np.full(100, 0.5))
    same_moment = mouth_gap(_track(SYLLABLES), late, FRAMES, FRAMES)
    assert same_moment.max() < 1e-9  # both curves are read around their own frames


def test_speech_is_that_of_the_nearest_cell() -> None:
    speech = np.array([False, False, True, True])
    assert speech_at(speech, 0.01, np.array([-1.0, 0.0149, 0.0151, 9.0])).tolist() == [
        False, False, True, True,
    ]  # fmt: skip


def test_what_is_kept_depends_on_speech_and_mouths(mouths: AlignMouths) -> None:
    gap = np.array([0.0, 0.2, np.nan, 0.0, 0.0, 0.0, 0.0])
    difference = np.array([0.3, 0.0, np.nan, 0.3, 0.0, 0.3, 0.05])
    speakers = np.array([2, 2, 2, 1, 1, 0, 0])
    kept = accepted(gap, difference, speakers, mouths)
    assert kept.tolist() == [True, False, True, False, True, False, True]
    strict = mouths.model_copy(update={"one_silent": "drop", "both_silent": "keep", "max_gap": 0.0})
    kept = accepted(gap, difference, speakers, strict)
    assert kept.tolist() == [True, True, True, False, False, True, True]


def test_confidence_falls_with_the_gap(mouths: AlignMouths) -> None:
    found = lowered(_frames(4), np.array([0.0, 0.06, 0.12, np.nan]), mouths)
    assert found.confidence == pytest.approx([0.9, 0.9, 0.45, 0.9])


def test_the_error_of_the_image_enters_the_claim(rules: AlignFrames) -> None:
    assert sync_error_s(0.03, 0.04) == pytest.approx(0.05)
    assert sync_error_s(None, 0.04) is None
    found = in_image_time(_frames(1), 0.02, rules)
    assert found.error_s == pytest.approx([np.hypot(0.02, 2.5758 * 0.02)], abs=1e-5)
    assert found.confidence == pytest.approx([0.9])
    assert in_image_time(_frames(1), None, rules).error_s == pytest.approx([0.02])
    assert in_image_time(_frames(1), 0.4, rules).error_s == pytest.approx([0.5])
