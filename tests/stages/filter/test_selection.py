import numpy as np

from pipeline.clip.clarity import NONE
from pipeline.stages.filter.selection import (
    DUPLICATE,
    KEPT,
    OTHER_EMOTION,
    OVER_QUOTA,
    UNCLEAR,
    VERDICTS,
    equal_numbers,
    first_verdicts,
    near_duplicates,
    over_quota,
    ranks,
)


def unit(*degrees: float) -> np.ndarray:
    """Embeddings (n, 2) on the circle."""
    angles = np.deg2rad(degrees)
    return np.column_stack([np.cos(angles), np.sin(angles)])


def test_codes_are_those_of_the_names() -> None:
    codes = (KEPT, UNCLEAR, DUPLICATE, OVER_QUOTA, OTHER_EMOTION)
    assert [VERDICTS[k] for k in codes] == list(VERDICTS)


def test_first_verdicts() -> None:
    values = np.array([0.9, 0.4, 0.4, 0.9, np.nan])
    emotion = np.array([1, 1, 1, 1, NONE])
    found = first_verdicts(
        values,
        emotion,
        np.full(7, 0.5),
        clear_as_another=np.array([True, False, True, False, False]),
        suspect=np.array([False, False, False, True, False]),
    )
    assert found.tolist() == [KEPT, UNCLEAR, OTHER_EMOTION, OTHER_EMOTION, OTHER_EMOTION]


def test_a_frame_beside_a_clearer_one_that_looks_alike_is_a_duplicate() -> None:
    values = np.array([0.7, 0.9, 0.8, 0.6])
    found = near_duplicates(values, np.array([0.0, 0.04, 0.08, 0.5]), unit(0, 1, 2, 1), 0.1, 0.99)
    assert found.tolist() == [True, False, True, False]


def test_what_looks_different_or_is_far_away_is_no_duplicate() -> None:
    values, instants = np.array([0.7, 0.9, 0.8]), np.array([0.0, 0.04, 0.08])
    assert not near_duplicates(values, instants, unit(0, 30, 60), 0.1, 0.99).any()
    assert not near_duplicates(values, instants * 10, unit(0, 0, 0), 0.1, 0.99).any()


def test_a_duplicate_shadows_nobody() -> None:
    """The middle frame is dropped for the first; the last is like it, but not like the first."""
    values = np.array([0.9, 0.8, 0.7])
    found = near_duplicates(values, np.array([0.0, 0.04, 0.08]), unit(0, 7, 14), 0.1, 0.99)
    assert found.tolist() == [False, True, False]


def test_a_still_take_is_thinned_to_its_spacing() -> None:
    instants = np.arange(100) / 25
    found = near_duplicates(np.full(100, 0.8), instants, unit(*[0] * 100), 0.1, 0.99)
    assert np.flatnonzero(~found).tolist() == list(range(0, 100, 3))


def test_a_quota_keeps_the_clearest_of_each_group() -> None:
    verdicts = np.array([KEPT, KEPT, KEPT, UNCLEAR, KEPT], np.int8)
    values = np.array([0.7, 0.9, 0.8, 0.99, 0.6])
    group = np.array([0, 0, 0, 0, 1])
    found = over_quota(verdicts, values, [group], 1)
    assert found.tolist() == [OVER_QUOTA, KEPT, OVER_QUOTA, UNCLEAR, KEPT]


def test_equal_numbers_of_every_emotion_in_each_split() -> None:
    emotion = np.array([0, 0, 0, 1, 1, 2, 0, 1])
    split = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    values = np.array([0.7, 0.9, 0.8, 0.6, 0.9, 0.7, 0.5, 0.5])
    verdicts = np.full(8, KEPT, np.int8)
    found = equal_numbers(verdicts, values, emotion, split)
    kept = found == KEPT
    assert kept.tolist() == [False, True, False, False, True, True, True, True]


def test_an_emotion_without_any_frame_does_not_empty_the_others() -> None:
    emotion, split = np.array([0, 0, 1]), np.zeros(3, np.int64)
    verdicts = np.array([KEPT, KEPT, UNCLEAR], np.int8)
    found = equal_numbers(verdicts, np.array([0.5, 0.6, 0.1]), emotion, split)
    assert found.tolist() == [KEPT, KEPT, UNCLEAR]


def test_ranks_count_by_emotion_and_split_and_span_the_quota() -> None:
    verdicts = np.array([KEPT, OVER_QUOTA, DUPLICATE, KEPT, KEPT, UNCLEAR], np.int8)
    values = np.array([0.7, 0.6, 0.99, 0.9, 0.5, 0.1])
    emotion = np.array([1, 1, 1, 1, 1, 1])
    split = np.array([0, 0, 0, 0, 1, 0])
    assert ranks(verdicts, values, emotion, split).tolist() == [2, 3, 0, 1, 1, 0]


def test_of_equal_frames_the_first_comes_first() -> None:
    verdicts = np.full(4, KEPT, np.int8)
    zeros = np.zeros(4, np.int64)
    assert ranks(verdicts, np.full(4, 0.5), zeros, zeros).tolist() == [1, 2, 3, 4]


def test_nothing_gives_nothing() -> None:
    none = np.empty(0, np.int8)
    zeros = np.empty(0, np.int64)
    assert len(ranks(none, np.empty(0), zeros, zeros)) == 0
    assert len(over_quota(none, np.empty(0), [zeros], 3)) == 0
