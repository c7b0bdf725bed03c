from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alignment.kernels import best_chain, heaviest_stretch
from pipeline.alignment.posterior import (
    _band,
    _entering,
    _visits,
    _visits_by_logarithms,
    visits,
)
from pipeline.alignment.warping_path import Warp, cosine_distances, warp
from pipeline.params import AlignPosterior, AlignSteps

WEIGHTS = AlignSteps(diagonal=1.5, along_b=1.0, along_a=1.0)
PARAMS = AlignPosterior(temperature=1.6, min_temperature=0.05, band_s=10.0)


def found(distances: np.ndarray) -> Warp:
    return warp(distances, weights=WEIGHTS, hop_s=0.01, backend="librosa")


def every_path(n: int, m: int) -> Iterator[list[tuple[int, int]]]:
    def onward(path: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
        i, j = path[-1]
        if (i, j) == (n - 1, m - 1):
            yield path
        for k, s in ((i + 1, j + 1), (i, j + 1), (i + 1, j)):
            if k < n and s < m:
                yield from onward([*path, (k, s)])

    yield from onward([(0, 0)])


def counted(distances: np.ndarray, temperature: float) -> np.ndarray:
    share = np.zeros(distances.shape)
    total = 0.0
    for path in every_path(*distances.shape):
        cost = 0.0
        for (i, j), (k, s) in pairwise(path):
            cost += (1.5 if k > i and s > j else 1.0) * distances[k, s]
        weight = np.exp(-cost / temperature)
        total += weight
        share[tuple(np.transpose(path))] += weight
    return share / total


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=40)
def test_visits_are_what_counting_every_path_gives(n: int, m: int, seed: int) -> None:
    distances = np.random.default_rng(seed).random((n, m)) + 0.05
    path = found(distances)
    temperature = max(1.6 * float(np.median(path.distances)), 0.05)
    np.testing.assert_allclose(
        visits(path, distances, WEIGHTS, PARAMS), counted(distances, temperature), atol=1e-9
    )


def test_sure_takes_are_visited_on_the_path_alone() -> None:
    cells = np.random.default_rng(0).standard_normal((80, 24)).astype(np.float32)
    distances = cosine_distances(cells, cells)
    share = visits(found(distances), distances, WEIGHTS, PARAMS)
    assert np.diagonal(share).min() > 0.99


def test_takes_without_content_are_visited_everywhere() -> None:
    distances = np.ones((40, 40))
    share = visits(found(distances), distances, WEIGHTS, PARAMS)
    assert share[20].max() < 0.5
    assert share[0, 0] == pytest.approx(1)
    assert share[-1, -1] == pytest.approx(1)


def test_the_band_changes_little_where_the_path_is_sure() -> None:
    cells = np.random.default_rng(0).standard_normal((200, 24)).astype(np.float32)
    distances = cosine_distances(cells, np.repeat(cells, 2, axis=0))
    path = found(distances)
    narrow = AlignPosterior(temperature=1.6, min_temperature=0.05, band_s=0.3)
    np.testing.assert_allclose(
        visits(path, distances, WEIGHTS, narrow),
        visits(path, distances, WEIGHTS, PARAMS),
        atol=1e-6,
    )


@pytest.mark.slow
def test_long_takes_do_not_underflow() -> None:
    distances = np.random.default_rng(0).random((3000, 3000)) + 0.2
    share = visits(
        found(distances),
        distances,
        WEIGHTS,
        AlignPosterior(temperature=0.1, min_temperature=0.01, band_s=0.5),
    )
    assert share.sum(axis=1).min() >= 1 - 1e-9


def test_a_row_wider_than_numbers_reach_is_summed_by_logarithms() -> None:
    distances = np.random.default_rng(0).random((60, 1500)) + 0.5
    path = found(distances)
    sharp = AlignPosterior(temperature=1e-9, min_temperature=0.2, band_s=30.0)
    first, stop = _band(path, 1500)
    entering = [_entering(distances, first, stop, weight / 0.2) for weight in (1.5, 1.0, 1.0)]
    _, gap = _visits(first, stop, 1500, *entering)
    assert not gap < 1e-9
    by_logarithms = _visits_by_logarithms(distances, first, stop, 5.0, 1.5, 1.0, 1.0)
    np.testing.assert_array_equal(
        visits(path, distances, WEIGHTS, sharp), np.minimum(by_logarithms, 1)
    )


@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 99))
@settings(max_examples=40)
def test_sums_of_weights_and_of_their_logarithms_agree(n: int, m: int, seed: int) -> None:
    distances = np.random.default_rng(seed).random((n, m))
    first, stop = _band(found(distances), 1 + seed % 9)
    entering = [_entering(distances, first, stop, weight / 0.3) for weight in (1.5, 1.0, 0.9)]
    share, gap = _visits(first, stop, m, *entering)
    assert gap < 1e-9
    by_logarithms = _visits_by_logarithms(distances, first, stop, 1 / 0.3, 1.5, 1.0, 0.9)
    np.testing.assert_allclose(share, by_logarithms, atol=1e-10)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 99))
@settings(max_examples=60)
def test_best_chain_is_the_best_of_all(n: int, m: int, seed: int) -> None:
    gain = np.random.default_rng(seed).uniform(-0.5, 1, (n, m))

    def best(i: int, j: int) -> float:
        if i == n or j == m:
            return 0.0
        return max(best(i + 1, j), best(i, j + 1), best(i + 1, j + 1) + max(gain[i, j], 0.0))

    rows, columns = best_chain(gain)
    assert (np.diff(rows) > 0).all()
    assert (np.diff(columns) > 0).all()
    assert gain[rows, columns].sum() == pytest.approx(best(0, 0))


def test_heaviest_stretch_of_known_weights() -> None:
    assert heaviest_stretch(np.array([-1.0, 2.0, -0.5, 3.0, -9.0, 4.0])) == (4.5, 1, 4)
    assert heaviest_stretch(np.array([-1.0, -2.0]))[0] == 0
