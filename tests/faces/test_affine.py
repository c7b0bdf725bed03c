import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.faces.affine import (
    STABLE,
    STABLE_WEIGHTS,
    Method,
    apply,
    compose,
    fit,
    invert,
    landmark_set,
    residual,
    robust_weights,
)
from tests.made import face, similarity

METHODS: tuple[Method, ...] = ("affine", "affine_robust", "similarity")
F64 = NDArray[np.float64]
TURN = compose(similarity(1.05, 7.0, 30.0, -12.0), np.array([[1.0, 0.0, 900.0], [0.0, 1.0, 500.0]]))


def stable_px(**muscles: float) -> F64:
    """The stable landmarks of a face at 1080p size, (1, p, 2)."""
    return (face(**muscles)[list(STABLE), :2] * 250 + [960, 540])[None]


def parts_of(matrix: F64) -> tuple[float, float]:
    """Rotation in degrees and mean scale of one matrix."""
    rotation = np.rad2deg(np.arctan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1]))
    return float(rotation), float(np.sqrt(np.linalg.det(matrix[:, :2])))


@pytest.mark.parametrize("method", METHODS)
def test_a_known_map_is_recovered(method: Method) -> None:
    b = stable_px()
    np.testing.assert_allclose(fit(method, b, apply(TURN, b))[0], TURN, rtol=0, atol=1e-9)


def test_an_affine_with_shear_is_recovered_and_no_similarity_can() -> None:
    shear = np.array([[1.1, 0.2, 5.0], [-0.1, 0.9, 3.0]])
    b = stable_px()
    np.testing.assert_allclose(fit("affine", b, apply(shear, b))[0], shear, rtol=0, atol=1e-9)
    assert residual(fit("similarity", b, apply(shear, b)), b, apply(shear, b))[0] > 5


def test_compose_and_invert_undo_each_other() -> None:
    np.testing.assert_allclose(compose(invert(TURN), TURN), np.eye(2, 3), atol=1e-12)
    np.testing.assert_allclose(
        apply(compose(TURN, TURN), np.array([[3.0, 4.0]])),
        apply(TURN, apply(TURN, np.array([[3.0, 4.0]]))),
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "muscles",
    [
        {"jaw": 1.0},
        {"au12": 1.0},
        {"au1": 1.0, "au2": 1.0},
        {"au43": 1.0},
        {"jaw": 1.0, "au5": 1.0},
    ],
)
def test_speech_and_expression_move_no_pose(method: Method, muscles: dict[str, float]) -> None:
    matrix = fit(method, stable_px(**muscles), stable_px(), weights=STABLE_WEIGHTS)[0]
    rotation_deg, scale = parts_of(matrix)
    # The eyes lie 250 px apart here: 0.5 px at 256 px of face is about 1 px.
    shift_px = np.linalg.norm(apply(matrix, np.array([[960.0, 540.0]])) - [960, 540])
    assert abs(rotation_deg) < 0.2
    assert abs(scale - 1) < 0.005
    assert shift_px < 1.0


def test_all_landmarks_do_follow_the_jaw() -> None:
    chosen = list(landmark_set("all")[0])
    closed, opened = (face(jaw)[chosen, :2][None] * 250 for jaw in (0.0, 1.0))
    assert abs(parts_of(fit("affine", opened, closed)[0])[1] - 1) > 0.01


def test_robust_ignores_points_that_moved_alone() -> None:
    b = stable_px()
    a = apply(TURN, b)
    a[0, [2, 7, 13]] += [[70.0, -50.0], [0.0, 90.0], [-75.0, 40.0]]
    np.testing.assert_allclose(fit("affine_robust", b, a)[0], TURN, rtol=0, atol=1e-6)
    assert np.abs(fit("affine", b, a)[0] - TURN)[:, 2].max() > 5
    np.testing.assert_allclose(robust_weights(b, a, np.ones(len(STABLE)))[0, [2, 7, 13]], 0.0)


def test_robust_is_near_least_squares_on_noise() -> None:
    rng = np.random.default_rng(1)
    b = np.repeat(stable_px(), 200, axis=0)
    a = b + rng.normal(0, 1.0, b.shape)
    shifts = {m: fit(m, b, a) @ [960.0, 540.0, 1.0] - [960, 540] for m in METHODS}
    spread = {m: float(np.sqrt((s**2).mean())) for m, s in shifts.items()}
    assert spread["affine"] < 0.4
    assert spread["affine_robust"] < 1.25 * spread["affine"]


@pytest.mark.parametrize(("yaw_deg", "pitch_deg"), [(12, 0), (0, 12), (10, -8)])
def test_a_turned_head_shears_little(yaw_deg: float, pitch_deg: float) -> None:
    """Depth goes with neither width nor height of the stable set."""
    yaw, pitch = np.deg2rad([yaw_deg, pitch_deg])
    about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    points = face()[list(STABLE)]
    turned = points @ np.transpose(np.array(about_x) @ about_y)
    matrix = fit("affine", points[None, :, :2], turned[None, :, :2], weights=STABLE_WEIGHTS)[0]
    wide, high = np.linalg.norm(matrix[:, 0]), np.linalg.norm(matrix[:, 1])
    assert abs(matrix[:, 0] @ matrix[:, 1]) / (wide * high) < 0.06
    assert abs(high / wide - np.cos(pitch) / np.cos(yaw)) < 0.06


def test_smoothing_lowers_noise_and_keeps_a_steady_map() -> None:
    rng = np.random.default_rng(2)
    b = np.repeat(stable_px(), 100, axis=0)
    a = apply(TURN, b) + rng.normal(0, 1.0, b.shape)
    times_s = np.arange(100) / 25
    rough, smooth = (fit("affine", b, a, times_s, width) for width in (0.0, 0.4))
    error = [np.abs(m @ [960, 540, 1] - TURN @ [960, 540, 1]).mean() for m in (rough, smooth)]
    assert error[1] < 0.45 * error[0]


def test_smoothing_does_not_reach_over_a_gap_in_time() -> None:
    b = np.repeat(stable_px(), 4, axis=0)
    a = b + np.array([0, 0, 10, 10])[:, None, None]
    matrix = fit("affine", b, a, np.array([0.0, 0.04, 5.0, 5.04]), 0.2)
    np.testing.assert_allclose(matrix[:, 0, 2], [0, 0, 10, 10], atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", ["line", "mirror", "stretch"])
def test_no_map_where_there_is_none(method: Method, case: str) -> None:
    b = stable_px()
    a = {"line": b, "mirror": b * [-1, 1], "stretch": b * 5}[case]
    if case == "line":
        b = np.repeat(b[..., :1], 2, axis=-1)
    matrix = fit(method, b, a)
    if (method, case) == ("similarity", "mirror"):
        # A turn is the nearest similarity to a mirror image; its residual gives it away.
        assert residual(matrix, b, a)[0] > 0.15 * 250
    else:
        assert np.isnan(matrix).all()
