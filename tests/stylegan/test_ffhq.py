from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.faces import framing
from pipeline.faces.affine import apply
from pipeline.stylegan import ffhq

CASES = ("frontal", "rolled20", "edge_pad", "big_shrink")


@pytest.fixture(scope="module")
def given() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "fixtures" / "ffhq_align_io.npz") as file:
        return dict(file)


@pytest.mark.parametrize("case", CASES)
def test_squares_are_those_of_the_reference(given: dict[str, np.ndarray], case: str) -> None:
    points = given[f"{case}__lm"].astype(np.float64)  # dlib's 68
    eyes = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    quad = framing.ffhq_quad(*eyes, points[[48, 54]].mean(axis=0))
    np.testing.assert_array_equal(quad, given[f"{case}__quad"])
    side = np.hypot(*(quad[3] - quad[0]))
    assert side == pytest.approx(float(given[f"{case}__qsize"]), rel=1e-12)


@pytest.mark.parametrize(
    ("case", "size_px", "transform_px"),
    [*((case, 128, 512) for case in CASES), ("edge_pad", 256, 256)],
)
def test_images_are_within_two_levels_of_the_reference(
    given: dict[str, np.ndarray], case: str, size_px: int, transform_px: int
) -> None:
    found = ffhq.aligned(given["image"], given[f"{case}__quad"] + 0.5, size_px, transform_px)
    wanted = given[f"{case}__aligned_{size_px}_{transform_px}"]
    assert np.abs(found.astype(int) - wanted).max() <= 2


def test_back_and_forth_are_inverse_and_meet_the_corners() -> None:
    quad = np.array([[10.0, 20.0], [4.0, 80.0], [64.0, 86.0], [70.0, 26.0]])
    corners = np.array([[0.0, 0.0], [0.0, 128.0], [128.0, 128.0], [128.0, 0.0]])
    np.testing.assert_allclose(apply(framing.quad_to_frame(quad, 128), corners), quad, atol=1e-9)
    np.testing.assert_allclose(apply(framing.quad_framing(quad, 128), quad), corners, atol=1e-9)


def _faces(n: int, jitter: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    points = np.zeros((n, 478, 3))
    points[:, list(framing.EYE_LEFT), :2] = (100, 100)
    points[:, list(framing.EYE_RIGHT), :2] = (160, 100)
    points[:, list(framing.MOUTH_CORNERS), :2] = (130, 170)
    points[:, :, :2] += rng.normal(0, jitter, (n, 1, 2))
    return points


def test_smoothing_steadies_the_square_and_bridges_lost_frames() -> None:
    faces = _faces(40, 3.0)
    faces[7] = np.nan
    own, smooth = ffhq.quads_of_mesh(faces, 0.0), ffhq.quads_of_mesh(faces, 3.0)
    assert np.isnan(own[7]).all()
    assert np.isnan(smooth[7]).all()
    known = np.arange(40) != 7
    assert smooth[known].std(axis=0).max() < 0.6 * own[known].std(axis=0).max()
    still = ffhq.quads_of_mesh(_faces(5, 0.0), 3.0)
    np.testing.assert_allclose(still, ffhq.quads_of_mesh(_faces(5, 0.0), 0.0), atol=1e-9)
