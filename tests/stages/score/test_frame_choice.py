import numpy as np
import pytest

from pipeline.stages.score.worker import choose_frames


def test_no_budget_takes_every_frame_with_a_face() -> None:
    found = np.array([True, False, True, True])
    assert choose_frames(found, np.ones(4), 0).tolist() == [0, 2, 3]
    assert choose_frames(found, np.ones(4), 3).tolist() == [0, 2, 3]


def test_the_sharpest_of_each_middle_is_taken() -> None:
    sharpness = np.zeros(40)
    sharpness[[4, 9, 16, 26, 33]] = [5, 9, 5, 5, 5]  # 9 is at the edge of two spans
    assert choose_frames(np.ones(40, bool), sharpness, 4).tolist() == [4, 16, 26, 33]


@pytest.mark.parametrize("n", [7, 13, 100, 1000])
@pytest.mark.parametrize("budget", [1, 3, 6])
def test_chosen_frames_are_spread(n: int, budget: int) -> None:
    rng = np.random.default_rng(n)
    found = rng.random(n) < 0.9
    chosen = choose_frames(found, rng.random(n), budget)
    assert len(chosen) == min(budget, found.sum())
    assert found[chosen].all()
    places = np.searchsorted(np.flatnonzero(found), chosen)
    assert np.diff([-1, *places]).min() >= 1
    spread = found.sum() / budget
    assert np.abs(places - (np.arange(budget) + 0.5) * spread).max() <= spread / 4 + 1


def test_frames_without_a_measure_come_last() -> None:
    sharpness = np.array([np.nan, np.nan, 1.0, np.nan, np.nan])
    assert choose_frames(np.ones(5, bool), sharpness, 1).tolist() == [2]
