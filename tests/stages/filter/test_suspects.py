import numpy as np
import pytest

from pipeline.clip.clarity import NONE
from pipeline.params import FilterSuspects
from pipeline.stages.filter.selection import clear_as_another, is_suspect, looks_like

RULE = FilterSuspects(min_p=0.6, min_share=0.4, neutral_share=0.8, neutral_from_level=2, drop=False)


def track(*parts: tuple[int, int, float]) -> np.ndarray:
    """Probabilities of a take: (frames, emotion, its probability) after each other."""
    rows = []
    for count, emotion, p in parts:
        row = np.full(7, (1 - p) / 6)
        row[emotion] = p
        rows += [row] * count
    return np.array(rows)


def suspect(p: np.ndarray, recorded: int, level: int = 3) -> bool:
    return is_suspect(looks_like(p, recorded, RULE.min_p), recorded, level, RULE)


def test_a_take_that_shows_another_emotion_is_a_suspect() -> None:
    p = track((10, 0, 0.9), (30, 1, 0.9))
    look = looks_like(p, 2, 0.6)
    assert look is not None
    assert (look.seen, look.n_clear, look.share) == (1, 40, 0.75)
    assert look.p_seen == pytest.approx((10 * 0.1 / 6 + 30 * 0.9) / 40)
    assert look.p_recorded == pytest.approx(0.1 / 6)
    assert is_suspect(look, 2, 1, RULE)
    assert not is_suspect(look, 1, 1, RULE)


def test_an_onset_is_none() -> None:
    assert not suspect(track((25, 0, 0.95), (15, 2, 0.9)), 2)


def test_a_faint_take_is_none_and_a_neutral_one_is() -> None:
    faint = track((24, 0, 0.8), (16, 0, 0.4))
    assert not suspect(faint, 5)
    assert suspect(track((40, 0, 0.9)), 5)
    assert not suspect(track((40, 0, 0.9)), 5, level=1)  # which is meant to be faint


def test_a_take_that_is_clear_nowhere_is_none() -> None:
    assert looks_like(track((40, 1, 0.5)), 2, 0.6) is None
    assert not suspect(track((40, 1, 0.5)), 2)
    assert not suspect(np.empty((0, 7)), 2)


def test_a_take_of_none_of_the_seven_is_none() -> None:
    assert not suspect(track((40, 1, 0.9)), NONE)


def test_frames_that_are_clear_as_another() -> None:
    p = track((1, 1, 0.9), (1, 2, 0.9), (1, 1, 0.5))
    assert clear_as_another(p, np.array([2, 2, 2]), 0.6).tolist() == [True, False, False]
