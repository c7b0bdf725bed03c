import numpy as np
import pytest

from pipeline.clip.clarity import NONE, clarity, fitted, neutral_base, passes, passing_counts, seen


def p_of(*rows: dict[int, float]) -> np.ndarray:
    """Probabilities (n, 7): what is named, the rest shared by the others."""
    found = np.zeros((len(rows), 7))
    for row, named in zip(found, rows, strict=True):
        row[:] = (1 - sum(named.values())) / (7 - len(named))
        for k, value in named.items():
            row[k] = value
    return found


def test_clarity_is_the_probability_of_the_own_emotion() -> None:
    p = p_of({1: 0.9}, {1: 0.9}, {1: 0.9})
    found = clarity(p, np.array([1, 0, NONE]))
    assert found[:2] == pytest.approx([0.9, 0.1 / 6])
    assert np.isnan(found[2])


def test_clarity_against_the_own_neutral_face() -> None:
    """A speaker whose neutral face looks sad by 0.6: sad at 0.8 is half the way that was left."""
    p = p_of({5: 0.6, 0: 0.2}, {5: 0.6, 0: 0.2}, {5: 0.8}, {0: 0.7})
    recorded, speaker = np.array([0, 0, 5, 0]), np.array([0, 0, 0, 1])
    base = neutral_base(p, recorded, speaker, 3)
    assert base[0, 5] == pytest.approx(0.6)
    assert base[:2, 0].tolist() == [0, 0]
    assert np.isnan(base[2]).all()
    found = clarity(p, recorded, base[speaker])
    assert found == pytest.approx([0.2, 0.2, 0.5, 0.7])


def test_a_speaker_without_a_neutral_frame_has_no_clarity() -> None:
    p = p_of({1: 0.9})
    base = neutral_base(p, np.array([1]), np.array([0]), 1)
    assert np.isnan(clarity(p, np.array([1]), base)).all()


def test_a_quantile_is_fitted_on_the_frames_named_alone() -> None:
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.99, 0.7])
    emotion = np.array([1, 1, 1, 1, 1, 1, 2])
    fit = np.array([True] * 5 + [False] * 2)
    found = fitted(values, emotion, fit, 0.5)
    assert found[1] == pytest.approx(0.3)
    assert np.isnan(found[[0, 2, 3, 4, 5, 6]]).all()
    assert passes(values, emotion, found).tolist() == [False, False, True, True, True, True, False]


def test_no_frame_of_none_of_the_seven_passes() -> None:
    limits = np.zeros(7)
    assert passes(np.array([np.nan, 0.5]), np.array([NONE, 3]), limits).tolist() == [False, True]


def test_counts_of_the_yield_curve() -> None:
    values = np.array([0.2, 0.5, 0.5, 0.9, np.nan])
    found = passing_counts(values, np.array([1, 1, 1, 2, NONE]), np.array([0.0, 0.5, 0.6]))
    assert found[1].tolist() == [3, 2, 0]
    assert found[2].tolist() == [1, 1, 1]
    assert found.sum() == 8


def test_the_likeliest_emotion() -> None:
    assert seen(p_of({3: 0.5}, {0: 0.9})).tolist() == [3, 0]
