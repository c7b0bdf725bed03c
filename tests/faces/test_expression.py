import numpy as np
import pytest

from pipeline.faces.affine import F64, STABLE, STABLE_WEIGHTS, Method, apply, fit
from pipeline.faces.expression import (
    BROWS,
    MOVEMENTS,
    WITNESSED,
    fit_faces,
    landmarks_of,
    without_expression,
)
from tests.builders.dataset import similarity

METHODS: tuple[Method, ...] = ("affine", "affine_robust", "similarity")
TURN = similarity(1.05, 7.0, 30.0, -12.0)
SOLVED = landmarks_of("stable", "solve")
EYES_PX = 80.0


def shown(**strengths: float) -> F64:
    """The fitted points of a face in a image that is doing something, (1, p, 2)."""
    names = [name.replace(" ", "_") for name in MOVEMENTS]
    moved = SOLVED.rest + sum(
        strength * SOLVED.movements[names.index(name)] for name, strength in strengths.items()
    )
    return np.asarray(moved * EYES_PX + 128)[None]


def off(matrix: F64, b: F64) -> tuple[float, float]:
    """Scale in % and the largest shift in px of the face's middle by which a map is not TURN."""
    scale = np.sqrt(np.linalg.det(matrix[:, :2]) / np.linalg.det(TURN[:, :2]))
    middle = b[0].mean(axis=0)[None]
    return 100 * abs(scale - 1), float(np.abs(apply(matrix, middle) - apply(TURN, middle)).max())


def test_the_asset_says_what_was_measured() -> None:
    assert SOLVED.rest.shape == (len(WITNESSED), 2) == (28, 2)
    assert SOLVED.movements.shape == (3, 28, 2)
    corners = SOLVED.rest[[WITNESSED.index(33), WITNESSED.index(263)]]
    np.testing.assert_allclose(corners, [[-0.5, 0], [0.5, 0]], atol=1e-3)
    raised = SOLVED.movements[0]
    brows, top = [WITNESSED.index(i) for i in BROWS], WITNESSED.index(10)
    assert (raised[brows, 1] < -0.03).all()
    assert raised[top, 1] == pytest.approx(-0.053, abs=0.005)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["brows_raised", "brows_drawn", "jaw_open"])
def test_a_movement_of_the_mesh_moves_the_map_little(method: Method, name: str) -> None:
    b, a = shown(**{name: 1.0}), apply(TURN, shown())
    scale, shift_px = off(fit_faces(method, b, a, SOLVED, shear_prior=2.0)[0], b)
    assert scale < 0.4
    assert shift_px < 0.4
    stable = [WITNESSED.index(i) for i in STABLE]
    plain = fit("affine", b[:, stable], a[:, stable], weights=STABLE_WEIGHTS, shear_prior=2.0)[0]
    assert scale + shift_px < sum(off(plain, b))


@pytest.mark.parametrize("method", METHODS)
def test_equal_expressions_leave_the_map_as_it_is(method: Method) -> None:
    b = shown(brows_raised=0.7, jaw_open=0.4)
    found = fit_faces(method, b, apply(TURN, b), SOLVED, shear_prior=2.0)[0]
    np.testing.assert_allclose(found, TURN, rtol=0, atol=1e-7)


def test_the_movement_follows_the_head_in_its_image() -> None:
    quarter = similarity(2.0, 90.0, 0.0, 0.0)
    b, a = shown(brows_raised=1.0), apply(quarter, shown())
    taken = without_expression(b, a, SOLVED, 2.0) - a
    brow = WITNESSED.index(105)
    expected = quarter[:, :2] @ (SOLVED.movements[0][brow] * EYES_PX)
    np.testing.assert_allclose(taken[0, brow], expected, rtol=0.25, atol=1.0)


def test_ignored_expression_is_the_plain_fit() -> None:
    rng = np.random.default_rng(0)
    landmarks = landmarks_of("stable", "ignore")
    assert landmarks.indices == STABLE
    b = rng.normal(0, 50, (3, len(STABLE), 2))
    a = apply(TURN, b) + rng.normal(0, 1, b.shape)
    np.testing.assert_array_equal(
        fit_faces("affine", b, a, landmarks, shear_prior=2.0),
        fit("affine", b, a, weights=STABLE_WEIGHTS, shear_prior=2.0),
    )


def test_points_on_a_line_have_no_map_and_spoil_no_other() -> None:
    line = np.linspace(0, 1, len(WITNESSED))[:, None] * [[30.0, 40.0]]
    b = np.concatenate([shown(), line[None]])
    a = apply(TURN, np.concatenate([shown(), shown()]))
    found = fit_faces("affine", b, a, SOLVED, shear_prior=2.0)
    np.testing.assert_allclose(found[0], TURN, atol=1e-7)
    assert np.isnan(found[1]).all()
