"""Windows of hand-made frame pairs."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.stages.shards.windows import Windows, find_windows


def _find(
    a: list[int], b: list[int], confidence: list[float] | None = None, **options: object
) -> Windows:
    values: dict = {"length": 3, "max_step": 2, "min_confidence": 0.5, "keep_rejected": False}
    sure = [0.9] * len(a) if confidence is None else confidence
    return find_windows(a, b, sure, **{**values, **options})


def test_one_window_begins_at_every_pair_that_can() -> None:
    found = _find([0, 1, 2, 3, 4, 5], [3, 4, 5, 6, 7, 8], length=4)
    assert found.index.tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]
    assert found.weight.tolist() == [[0.9] * 4] * 3


def test_a_step_beyond_the_bound_in_either_take_parts_windows() -> None:
    by_a = _find([0, 1, 2, 5, 6, 7], [0, 1, 2, 3, 4, 5])
    by_b = _find([0, 1, 2, 3, 4, 5], [0, 1, 2, 5, 6, 7])
    assert by_a.index.tolist() == by_b.index.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert len(_find([0, 1, 2, 5, 6, 7], [0, 1, 2, 3, 4, 5], max_step=3)) == 4
    assert len(_find([0, 2, 4], [0, 1, 2], max_step=1)) == 0
    assert len(_find([0, 2, 4], [0, 1, 2], max_step=2)) == 1


def test_a_pair_below_the_threshold_is_stepped_over_where_the_step_allows() -> None:
    sure = [0.9, 0.9, 0.4, 0.9, 0.9, 0.9]
    frames = [0, 1, 2, 3, 4, 5]
    stepped = _find(frames, frames, sure)
    assert stepped.index.tolist() == [[0, 1, 3], [1, 3, 4], [3, 4, 5]]
    assert stepped.weight.min() == 0.9
    assert _find(frames, frames, sure, max_step=1).index.tolist() == [[3, 4, 5]]


def test_a_rejected_pair_may_stay_with_weight_zero() -> None:
    sure = [0.9, 0.9, 0.4, 0.9, 0.9, 0.9]
    frames = [0, 1, 2, 3, 4, 5]
    found = _find(frames, frames, sure, max_step=1, keep_rejected=True)
    assert found.index.tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]
    assert found.weight.tolist() == [[0.9, 0.9, 0], [0.9, 0, 0.9], [0, 0.9, 0.9], [0.9, 0.9, 0.9]]


def test_more_than_half_of_a_window_is_above_the_threshold() -> None:
    frames = [0, 1, 2, 3]
    half = _find(frames, frames, [0.9, 0.4, 0.4, 0.9], length=4, keep_rejected=True)
    most = _find(frames, frames, [0.9, 0.4, 0.9, 0.9], length=4, keep_rejected=True)
    assert (len(half), len(most)) == (0, 1)


def test_the_threshold_itself_is_enough() -> None:
    assert len(_find([0, 1, 2], [0, 1, 2], [0.5, 0.5, 0.5])) == 1
    assert len(_find([0, 1, 2], [0, 1, 2], [0.5, 0.5, 0.49])) == 0


def test_too_few_pairs_make_no_window_and_keep_its_shape() -> None:
    for frames in ([], [0], [0, 1]):
        found = _find(frames, frames)
        assert found.index.shape == found.weight.shape == (0, 3)


@pytest.mark.parametrize("options", [{"length": 1}, {"max_step": 0}])
def test_what_is_no_window_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected at least 2 and 1"):
        _find([0, 1], [0, 1], **options)


def test_windows_are_those_of_the_plain_definition() -> None:
    rng = np.random.default_rng(4)
    a, b = (np.cumsum(rng.integers(1, 4, 80)) for _ in range(2))
    sure = rng.uniform(0, 1, 80)
    found = find_windows(a, b, sure, length=3, max_step=2, min_confidence=0.2, keep_rejected=False)
    kept = np.flatnonzero(sure >= 0.2)
    plain = [
        kept[k : k + 3].tolist()
        for k in range(len(kept) - 2)
        if max(np.diff(a[kept[k : k + 3]]).max(), np.diff(b[kept[k : k + 3]]).max()) <= 2
    ]
    assert found.index.tolist() == plain
    assert len(plain) > 5


@pytest.mark.parametrize(
    ("frames", "length", "max_step", "starts"),
    [
        ([(0, 0), (1, 1), (2, 2), (3, 3)], 3, 2, [0, 1]),
        ([(0, 0), (1, 1), (2, 2)], 4, 2, []),
        ([(0, 0), (2, 2), (4, 4)], 3, 2, [0]),
        ([(0, 0), (3, 1), (4, 2), (5, 3)], 3, 2, [1]),
        ([(0, 0), (1, 3), (2, 4), (3, 5)], 3, 2, [1]),
        ([(0, 0), (1, 2), (2, 4), (3, 5)], 3, 1, []),
        ([], 2, 2, []),
        ([(5, 9)], 2, 2, []),
    ],
)
def test_windows_by_hand(
    frames: list[tuple[int, int]], length: int, max_step: int, starts: list[int]
) -> None:
    a, b = [i for i, _ in frames], [j for _, j in frames]
    found = find_windows(
        a, b, [0.9] * len(a), length=length, max_step=max_step, min_confidence=0.5,
        keep_rejected=False,
    )  # fmt: skip
    assert found.index[:, 0].tolist() == starts


def test_no_window_goes_on_where_a_take_stands_still() -> None:
    frame_a, frame_b = [0, 1, 2, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 6]
    found = find_windows(
        frame_a, frame_b, np.ones(7), length=3, max_step=2, min_confidence=0.0, keep_rejected=False
    )
    assert found.index.tolist() == [[0, 1, 2], [3, 4, 5], [4, 5, 6]]
