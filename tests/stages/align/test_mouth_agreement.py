"""Mouth curves whose relation is known, along known time maps."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.stages.align.mouth_agreement import mouth_agreement

EVEN = np.array([[0.0, 0.0], [4.0, 4.0]])
INSTANTS = (np.arange(100) + 0.5) / 25


def _syllables(times: np.ndarray) -> np.ndarray:
    """Openings that never repeat: about four a second."""
    return np.abs(np.sin(11 * times + 2 * np.sin(1.7 * times)))


CURVE = _syllables(INSTANTS)


def test_equal_curves_agree_and_opposite_ones_do_not() -> None:
    assert mouth_agreement(INSTANTS, CURVE, INSTANTS, 2 * CURVE + 1, EVEN) == pytest.approx(1.0)
    assert mouth_agreement(INSTANTS, CURVE, INSTANTS, -CURVE, EVEN) == pytest.approx(-1.0)


def test_the_map_is_followed_whatever_the_rates() -> None:
    stretch = np.array([[0.0, 0.0], [4.0, 6.0]])
    instants_b = (np.arange(180) + 0.5) / 30
    slow = _syllables(instants_b / 1.5)
    assert mouth_agreement(INSTANTS, CURVE, instants_b, slow, stretch) > 0.98
    late = np.array([[0.0, 0.2], [4.0, 6.2]])
    assert mouth_agreement(INSTANTS, CURVE, instants_b, slow, late) < 0.5


@pytest.mark.parametrize("shift_s", [0.12, 0.2, 0.4, -0.12])
def test_a_shifted_map_agrees_less(shift_s: float) -> None:
    shifted = np.add(EVEN, [0.0, shift_s])
    assert mouth_agreement(INSTANTS, CURVE, INSTANTS, CURVE, shifted) < 0.55


def test_what_an_expression_adds_slowly_does_not_count() -> None:
    smile = CURVE + 3 * np.exp(-(((INSTANTS - 2) / 1.5) ** 2))
    assert np.corrcoef(CURVE, smile)[0, 1] < 0.5
    assert mouth_agreement(INSTANTS, CURVE, INSTANTS, smile, EVEN) > 0.95


def test_frames_without_a_face_do_not_count() -> None:
    hidden = CURVE.copy()
    hidden[30:60] = np.nan
    spoilt = CURVE.copy()
    spoilt[33:57] = 0.3
    assert mouth_agreement(INSTANTS, hidden, INSTANTS, spoilt, EVEN) > 0.98
    assert mouth_agreement(INSTANTS, CURVE, INSTANTS, spoilt, EVEN) < 0.95


def test_what_cannot_be_judged_has_no_agreement() -> None:
    unseen = np.full(100, np.nan)
    brief = np.where(np.arange(100) < 8, CURVE, np.nan)
    assert mouth_agreement(INSTANTS, CURVE, INSTANTS, unseen, EVEN) is None
    assert mouth_agreement(INSTANTS, CURVE, INSTANTS, brief, EVEN) is None
    assert mouth_agreement(INSTANTS, CURVE, INSTANTS, np.zeros(100), EVEN) is None
    assert mouth_agreement(INSTANTS, CURVE, INSTANTS, CURVE, EVEN[:1]) is None
