from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.stylegan import mouth
from pipeline.stylegan import svm_direction as boundary

RNG = np.random.default_rng(5)
D = 40
OPENS = RNG.normal(size=D)  # what opens the mouth in this world: a pattern
OPENS /= np.linalg.norm(OPENS)
FEELS = RNG.normal(size=D)
FEELS -= (FEELS @ OPENS) * OPENS
FEELS /= np.linalg.norm(FEELS)


def _read(codes: np.ndarray) -> np.ndarray:
    """Mouth opening of codes: not linear, and dead to everything but OPENS."""
    along = codes @ OPENS
    return np.asarray(0.1 * along + 0.02 * along**2)


def _world(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes, openings, groups: speech opens the mouth; other things vary much and are read too."""
    rng = np.random.default_rng(6)
    speech = rng.normal(0, 1, n)
    other = rng.normal(0, 3, (n, D))
    other -= np.outer(other @ OPENS, OPENS)
    emotion = np.arange(n) % 2
    codes = np.outer(speech, OPENS) + 0.2 * other + np.outer(emotion * 2, FEELS + 0.6 * OPENS)
    return codes, _read(codes), np.array(["ab"[e] for e in emotion])


def _pattern(codes: np.ndarray, measures: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """The pattern of frames that come seven at a time."""
    found = mouth.Pattern(measures.shape[1])
    for group in sorted(set(groups)):
        rows = np.flatnonzero(np.asarray(groups) == group)
        for start in range(0, len(rows), 7):
            some = rows[start : start + 7]
            found.add(group, codes[some], measures[some])
    return found.solve()


def test_sums_a_few_frames_at_a_time_are_the_regression_on_all() -> None:
    codes, opening, groups = _world(300)
    measures = np.stack([opening, opening**2 + 0.1 * codes[:, 1]], axis=1)
    near = [np.zeros_like(codes), np.zeros_like(measures)]
    for values, whole in zip(near, (codes, measures), strict=True):
        for group in "ab":
            rows = groups == group
            values[rows] = whole[rows] - whole[rows].mean(axis=0)
    scale = np.sqrt((near[1] ** 2).sum(axis=0))
    told = near[1] / scale
    wanted = np.linalg.solve(told.T @ told + 1e-3 * np.eye(2), told.T @ near[0]) / scale[:, None]
    np.testing.assert_allclose(_pattern(codes, measures, groups), wanted, rtol=1e-9, atol=1e-12)


def test_pattern_is_what_moves_the_mouth() -> None:
    codes, opening, groups = _world(3000)
    found = _pattern(codes, opening[:, None], groups)[0]
    assert found @ OPENS / np.linalg.norm(found) > 0.95
    # Without groups an emotion's own opening is taken for speech and the pattern leans towards it.
    pooled = _pattern(codes, opening[:, None], np.array(["one"] * len(codes)))[0]
    assert abs(pooled @ FEELS) / np.linalg.norm(pooled) > 2 * abs(found @ FEELS) / np.linalg.norm(
        found
    )


def test_two_measures_have_patterns_of_their_own() -> None:
    rng = np.random.default_rng(7)
    speech = rng.normal(size=(2000, 2))
    speech[:, 1] += 0.8 * speech[:, 0]  # a wide mouth is an open one, often
    axes = rng.normal(size=(2, D))
    found = _pattern(speech @ axes, speech, ["g"] * 2000)
    np.testing.assert_allclose(found, axes, atol=0.02)


def test_closed_loop_takes_the_movement_out() -> None:
    codes, opening, groups = _world(3000)
    moves = _pattern(codes, opening[:, None], groups)
    neutral = codes[groups == "a"][:40]

    def shift(step: np.ndarray) -> np.ndarray:
        return np.array([np.mean(_read(neutral + step) - _read(neutral))])

    step = 3.0 * boundary.unit(FEELS + 0.6 * OPENS, 1, "flattened")
    kept = mouth.keep_mouth(step, moves, shift, rounds=3, gain=1.0)
    assert kept.shifts[0, 0] > 0.15
    assert abs(kept.shifts[-1, 0]) < 0.1 * kept.shifts[0, 0]
    assert len(kept.shifts) == 4
    # The emotion stays.
    assert kept.step @ FEELS > 0.9 * (step @ FEELS)


def test_no_round_leaves_the_step_alone() -> None:
    step = np.arange(3.0)
    kept = mouth.keep_mouth(step, np.ones((1, 3)), lambda s: np.array([s.sum()]), 0, 1.0)
    np.testing.assert_array_equal(kept.step, step)
    assert kept.shifts.tolist() == [[3.0]]


def test_a_mouth_that_never_moves_has_no_pattern() -> None:
    codes = np.random.default_rng(8).normal(size=(20, 3))
    with pytest.raises(ValueError, match="never changes within its groups"):
        _pattern(codes, np.repeat([[0.1], [0.3]], 10, axis=0), ["a"] * 10 + ["b"] * 10)
    with pytest.raises(ValueError, match="7 frames are too few for 1 measures"):
        _pattern(codes[:7], np.arange(7.0)[:, None], ["a"] * 7)


def test_readout_speaks_in_the_other_measurer_s_units() -> None:
    """One measurer takes a smile for an open mouth and every speaker for another; both go."""
    rng = np.random.default_rng(9)
    opening, smile = rng.uniform(0, 0.2, 300), rng.uniform(0, 1, 300)
    speaker = np.array([f"s{k % 3}" for k in range(300)])
    own = np.array([0.0, 0.3, -0.2])[np.arange(300) % 3]
    seen = np.stack([opening + 0.1 * smile + own, 0.5 + 0.2 * smile], axis=1)
    weights = mouth.readout(seen, np.stack([opening], axis=1), speaker)
    np.testing.assert_allclose(weights, [[1.0, -0.5]], atol=0.02)
    with pytest.raises(ValueError, match="29 frames are too few to fit a readout"):
        mouth.readout(seen[:29], opening[:29, None], speaker[:29])
