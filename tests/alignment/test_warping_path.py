import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alignment.kernels import percentile_where
from pipeline.alignment.warping_path import cosine_distances, map_times, warp
from pipeline.params import AlignSteps

WEIGHTS = AlignSteps(diagonal=1.5, along_b=1.0, along_a=1.0)


def features(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 24)).astype(np.float32)


def knots_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    path = warp(cosine_distances(a, b), weights=WEIGHTS, hop_s=0.01, backend="librosa")
    return path.knots_s


def test_cosine_distances_of_known_cells() -> None:
    a = np.array([[1, 0], [0, 2], [0, 0]], dtype=np.float32)
    b = np.array([[3, 0], [-1, 0]], dtype=np.float32)
    np.testing.assert_allclose(cosine_distances(a, b), [[0, 2], [1, 1], [1, 1]])


def test_pulses_shifted_by_five_cells_give_lag_five() -> None:
    core = features(60)
    edge = features(1, seed=1)
    a = np.concatenate([np.repeat(edge, 2, 0), core, np.repeat(edge, 7, 0)])
    b = np.concatenate([np.repeat(edge, 7, 0), core, np.repeat(edge, 2, 0)])
    times_s = np.arange(5, 55) / 100
    np.testing.assert_allclose(map_times(knots_of(a, b), times_s) - times_s, 0.05)


def test_stretched_twice_gives_slope_two() -> None:
    core = features(60)
    knots = knots_of(core, np.repeat(core, 2, axis=0))
    slope = np.diff(map_times(knots, [0.1, 0.5]))[0] / 0.4
    assert slope == pytest.approx(2.0, abs=1e-9)
    assert len(knots) <= 4


def test_map_and_its_inverse_meet() -> None:
    core = features(60)
    knots = knots_of(core, np.repeat(core, 3, axis=0)[20:])
    times_s = np.linspace(-0.1, 0.7, 50)
    back = map_times(knots[:, ::-1], map_times(knots, times_s))
    np.testing.assert_allclose(back, times_s, atol=1e-12)


@pytest.mark.slow
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([2, 5, 1000]), st.integers(0, 99))
@settings(max_examples=150)
def test_backends_give_equal_cells_even_in_ties(n: int, m: int, grain: int, seed: int) -> None:
    distances = np.random.default_rng(seed).integers(0, grain, (n, m)) / grain
    ours, theirs = (
        warp(distances, weights=WEIGHTS, hop_s=0.01, backend=backend)
        for backend in ("dtw-python", "librosa")
    )
    np.testing.assert_array_equal(ours.cells_a, theirs.cells_a)
    np.testing.assert_array_equal(ours.cells_b, theirs.cells_b)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
@settings(max_examples=100)
def test_knots_are_strictly_increasing(n: int, m: int, seed: int) -> None:
    distances = np.random.default_rng(seed).random((n, m))
    knots = warp(distances, weights=WEIGHTS, hop_s=0.01, backend="librosa").knots_s
    assert (np.diff(knots, axis=0) > 0).all()


@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([2, 1000]), st.integers(0, 99))
@settings(max_examples=100)
def test_percentile_where_is_that_of_numpy(n: int, m: int, grain: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, grain, (n, m)) / grain
    rows, columns = rng.random(n) < 0.7, rng.random(m) < 0.7
    rows[seed % n] = columns[seed % m] = True
    for percent in (0, 10, 50, 100):
        wanted = np.percentile(values[np.ix_(rows, columns)], percent)
        assert percentile_where(values, rows, columns, percent) == pytest.approx(wanted, abs=1e-15)


@pytest.mark.parametrize("backend", ["dtw-python", "librosa"])
def test_takes_without_content_still_have_a_path(backend: str) -> None:
    distances = cosine_distances(np.zeros((5, 3), np.float32), np.zeros((7, 3), np.float32))
    path = warp(distances, weights=WEIGHTS, hop_s=0.01, backend=backend)
    assert (path.cells_a[-1], path.cells_b[-1]) == (4, 6)


def test_refuses_a_matrix_with_holes() -> None:
    with pytest.raises(ValueError, match="finite matrix"):
        warp(np.full((3, 3), np.nan), weights=WEIGHTS, hop_s=0.01, backend="librosa")
