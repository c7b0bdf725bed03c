import numpy as np
import pytest

from pipeline.faces.affine import apply
from pipeline.stages.report.accuracy import (
    PairError,
    alignment_figures,
    calibration,
    eye_distance,
    landmark_errors,
    line,
    pair_error,
    pose_error,
)
from tests.builders.dataset import face

ONSETS_A = np.array([0.2, 0.6, 1.0])
ONSETS_B = np.array([0.4, 1.2, 2.0])  # twice as slow, and 0.2 s late
OURS = np.array([[0.0, 0.0], [3.0, 3.0]])
FRAMES_S = (np.arange(60) + 0.5) / 25


def test_a_pairing_that_follows_the_truth_has_no_error() -> None:
    instants_b = ONSETS_B[0] + 2 * (FRAMES_S - ONSETS_A[0])
    error = pair_error((ONSETS_A, ONSETS_B), OURS, (FRAMES_S, instants_b), (range(30), range(30)))
    np.testing.assert_allclose(error.inside_ms, 0, atol=1e-9)


def test_the_map_is_judged_before_it_is_rounded_to_frames() -> None:
    # Our map runs 10 ms late; the frames that it led to are right.
    onsets = np.array([0.0, 2.4])
    late = OURS + np.array([0.0, 0.01])
    frames = range(5, 15)
    error = pair_error((onsets, onsets), late, (FRAMES_S, FRAMES_S), (frames, frames))
    np.testing.assert_allclose(error.map_ms, 10.0)
    np.testing.assert_allclose(error.error_ms, 0.0, atol=1e-9)


@pytest.mark.parametrize(("shift", "expected_ms"), [(1, 40.0), (-2, -80.0)])
def test_error_is_signed_and_in_milliseconds(shift: int, expected_ms: float) -> None:
    onsets = np.array([0.0, 2.4])
    frames_a = np.arange(10, 20)
    error = pair_error((onsets, onsets), OURS, (FRAMES_S, FRAMES_S), (frames_a, frames_a + shift))
    np.testing.assert_allclose(error.error_ms, expected_ms)


def test_frames_before_the_first_and_after_the_last_phoneme_do_not_count() -> None:
    frames = range(60)
    error = pair_error((ONSETS_A, ONSETS_A), OURS, (FRAMES_S, FRAMES_S), (frames, frames))
    inside = np.isfinite(error.error_ms)
    assert FRAMES_S[inside].min() > 0.2
    assert FRAMES_S[inside].max() < 1.0
    assert inside.sum() == 20
    assert error.coverage == 1.0


def test_coverage_is_over_the_take_with_fewer_frames_inside() -> None:
    # 20 frames of a lie inside, 40 of b; every other frame of a is paired.
    frames = range(5, 25, 2)
    error = pair_error((ONSETS_A, ONSETS_B), OURS, (FRAMES_S, FRAMES_S), (frames, frames))
    assert error.coverage == pytest.approx(10 / 20)


def test_a_pause_that_only_one_take_has_is_jumped_over() -> None:
    onsets_a = np.array([0.0, 0.4, 0.4, 0.8])
    onsets_b = np.array([0.0, 0.4, 0.9, 1.3])
    error = pair_error((onsets_a, onsets_b), OURS, (FRAMES_S, FRAMES_S), ([9, 10], [9, 10]))
    np.testing.assert_allclose(error.error_ms, [0.0, -500.0], atol=1e-9)


def test_figures_pool_the_frames_of_all_pairs() -> None:
    errors = [
        PairError(np.array([10.0, -20.0, np.nan]), np.array([1.0, -1.0, np.nan]), 0.8),
        PairError(np.array([30.0, 90.0]), np.array([-3.0, 3.0]), 0.6),
    ]
    figures = alignment_figures(errors)
    assert figures == {
        "frames": 4, "map_median_ms": 2.0, "map_p95_ms": 3.0, "median_ms": 25.0, "p95_ms": 81.0,
        "within_40ms_share": 0.75, "coverage_median": 0.7,
    }  # fmt: skip


def test_figures_of_no_pair_are_none() -> None:
    assert alignment_figures([])["median_ms"] is None


def test_honest_confidence_has_no_gap() -> None:
    # 1000 frames at .9 of which 900 are right, 1000 at .5 of which 500 are.
    confidence = np.repeat([0.9, 0.5], 1000)
    true_ms = np.concatenate([np.tile([5.0] * 9 + [99.0], 100), np.tile([5.0, 99.0], 500)])
    bins, figures = calibration(confidence, np.full(2000, 40.0), true_ms)
    assert [bin.n for bin in bins] == [400] * 5
    assert figures["confidence_gap"] == pytest.approx(0, abs=0.002)
    assert figures["claim_holds_share"] == 0.7


def test_boasting_confidence_has_a_gap() -> None:
    true_ms = np.tile([5.0, 99.0], 50)
    _, figures = calibration(np.full(100, 0.95), np.full(100, 10.0), true_ms)
    assert figures["confidence_gap"] == pytest.approx(0.45)
    assert figures["rank_correlation"] is None


def test_claims_that_order_the_errors_correlate() -> None:
    true_ms = np.linspace(1, 50, 100)
    _, figures = calibration(1 - true_ms / 100, true_ms**2, true_ms)
    assert figures["rank_correlation"] == 1.0
    assert figures["claim_holds_share"] == 1.0


def test_calibration_of_nothing() -> None:
    bins, figures = calibration(np.empty(0), np.empty(0), np.empty(0))
    assert bins == []
    assert set(figures.values()) == {None}


def test_landmark_error_is_over_the_distance_of_the_eyes() -> None:
    true = face()[None, :468, :2] * 100
    found = np.concatenate([face()[None] * 100, np.full((1, 478, 3), np.nan)])
    found[0, :, :2] += [3.0, 4.0]
    error = landmark_errors(found, np.repeat(true, 2, axis=0), np.zeros(2))
    np.testing.assert_allclose(error[0], float(5.0 / eye_distance(true, np.zeros(1))[0]))
    assert np.isnan(error[1]).all()


def test_a_turned_face_does_not_bring_the_eyes_together() -> None:
    turned = face()[None, :468, :2] * [np.cos(np.deg2rad(40)), 1.0]
    straight = eye_distance(face()[None, :468, :2], np.zeros(1))
    np.testing.assert_allclose(eye_distance(turned, np.array([40.0])), straight, rtol=1e-6)


def test_line_of_an_exact_relation() -> None:
    true = np.append(np.linspace(-10, 10, 50), np.nan)
    fit = line(true, 0.8 * true + 3)
    assert (fit.n, fit.r, fit.slope, fit.intercept, fit.residual_sd) == (50, 1.0, 0.8, 3.0, 0.0)


def test_line_of_what_does_not_move_is_unknown() -> None:
    assert line(np.ones(9), np.arange(9.0)).r is None


def test_pose_error_with_the_right_and_with_a_wrong_affine() -> None:
    a = face()[None, :468, :2] * 80 + 160
    to_a = np.array([[0.9, 0.1, 5.0], [-0.1, 0.9, -3.0]])
    inverse = np.linalg.inv(np.vstack([to_a, [0, 0, 1]]))[:2]
    b = apply(inverse, a)
    wrong = to_a + np.array([[0, 0, 8.0], [0, 0, 6.0]])
    error = pose_error(to_a[None], wrong, np.array([0.04]), b, a, np.zeros(1))
    eyes = eye_distance(a, np.zeros(1))
    np.testing.assert_allclose(error.before, 10.0 / eyes)
    np.testing.assert_allclose(error.ours, 0, atol=1e-9)
    np.testing.assert_allclose(error.best, 0, atol=1e-9)
