import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spfem_data.rng import KeyedRng, Permutation, key_of
from spfem_data.shuffle import FullShuffle, InFileOrder, NearShuffle, Weighted


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
def test_a_permutation_has_each_position_once(n: int, key: int) -> None:
    assert sorted(Permutation(n, key)(np.arange(n)).tolist()) == list(range(n))


def test_a_permutation_never_changes() -> None:
    """A saved position of an old run must mean the same rows."""
    assert Permutation(10, 7)(np.arange(10)).tolist() == PERMUTATION_OF_10_BY_7
    assert key_of(1, 2, 3) != key_of(1, 3, 2)


PERMUTATION_OF_10_BY_7 = [0, 8, 4, 7, 5, 2, 9, 3, 1, 6]


@pytest.mark.slow
def test_all_orders_of_four_are_equally_frequent() -> None:
    counts = Counter(
        tuple(FullShuffle(4, seed).at(0, np.arange(4)).tolist()) for seed in range(6000)
    )
    assert set(counts) == set(itertools.permutations(range(4)))
    assert min(counts.values()) > 180
    assert max(counts.values()) < 330  # 250 are expected, with a spread of 15.5


def test_a_full_shuffle_is_uncorrelated_with_file_order() -> None:
    places = np.arange(4000)
    correlations = [
        np.corrcoef(places, FullShuffle(4000, seed).at(epoch, places))[0, 1]
        for seed in range(5)
        for epoch in range(10)
    ]
    assert np.abs(correlations).max() < 0.05
    assert np.std(correlations) == pytest.approx(4000**-0.5, rel=0.3)


def test_epochs_and_seeds_differ() -> None:
    places = np.arange(1000)
    orders = [FullShuffle(1000, seed).at(epoch, places) for seed in (0, 1) for epoch in (0, 1)]
    for a, b in itertools.combinations(orders, 2):
        assert (a == b).mean() < 0.01


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=30).filter(any), st.integers(0, 99))
def test_a_near_shuffle_has_each_row_once(runs: list[int], epoch: int) -> None:
    order = NearShuffle(runs, seed=3, mixed=4)
    assert sorted(order.at(epoch, np.arange(sum(runs))).tolist()) == list(range(sum(runs)))
    one_by_one = [int(order.at(epoch, np.array([k]))[0]) for k in range(min(20, sum(runs)))]
    assert one_by_one == order.at(epoch, np.arange(len(one_by_one))).tolist()


def test_a_near_shuffle_reads_few_runs_at_a_time_and_stays_uncorrelated() -> None:
    order, places = NearShuffle([100] * 40, seed=0, mixed=4), np.arange(4000)
    for epoch in range(20):
        rows = order.at(epoch, places)
        assert abs(np.corrcoef(places, rows)[0, 1]) < 0.05
        for k in range(0, 4000, 400):
            assert len(np.unique(rows[k : k + 400] // 100)) == 4


def test_in_file_order() -> None:
    assert InFileOrder(5).at(3, np.array([4, 0])).tolist() == [4, 0]


@pytest.mark.slow
@settings(deadline=None)
@given(
    st.lists(st.floats(0, 100, allow_subnormal=False), min_size=1, max_size=60).filter(
        lambda weights: sum(weights) > 1e-3
    ),
    st.integers(0, 50),
)
def test_each_row_has_its_share(weights: list[float], epoch: int) -> None:
    n = 500
    rows = Weighted(np.array(weights), n, seed=1).at(epoch, np.arange(n))
    counts = np.bincount(rows, minlength=len(weights))
    expected = n * np.array(weights) / sum(weights)
    assert len(counts) == len(weights)
    assert np.abs(counts - expected).max() < 1 + 1e-6
    assert counts[np.array(weights) == 0].sum() == 0


def test_weighted_samples_are_shuffled() -> None:
    rows = Weighted(np.ones(2000), 2000, seed=1).at(0, np.arange(2000))
    assert abs(np.corrcoef(np.arange(2000), rows)[0, 1]) < 0.08
    assert sorted(rows.tolist()) == list(range(2000))


def test_random_numbers_depend_on_seed_epoch_position_and_purpose() -> None:
    places, zero = np.arange(1000), np.zeros(1000, np.int64)
    first = KeyedRng(1, zero, places)
    others = [
        KeyedRng(2, zero, places),
        KeyedRng(1, zero + 1, places),
        KeyedRng(1, zero, places + 1000),
    ]
    for other in others:
        assert (first.bits("z") == other.bits("z")).sum() == 0
    assert (first.bits("z") == first.bits("w")).sum() == 0
    assert np.array_equal(first.bits("z")[5:6], KeyedRng(1, zero[5:6], places[5:6]).bits("z"))
    below = first.below("z", np.full(1000, 7))
    assert np.bincount(below).min() > 100
    assert below.max() == 6
