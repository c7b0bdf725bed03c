from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.faces.affine import apply, compose, invert
from pipeline.faces.framing import (
    crop_to_frame,
    face_boxes,
    ffhq,
    ffhq_quad,
    ned256,
    quad_framing,
    square,
)
from pipeline.faces.sampling import sample
from spfem_data.masks import valid_mask
from tests.builders.dataset import face

CASES = ("frontal", "rolled20", "edge_pad", "big_shrink")


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2)))


def pixels(seed: int, size: int, blot: int) -> np.ndarray:
    small = np.random.default_rng(seed).uniform(0, 255, (size // blot, size // blot, 3))
    return cv2.resize(small.astype(np.uint8), (size, size), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def ffhq_io(shared: Path) -> dict[str, np.ndarray]:
    return dict(np.load(shared / "fixtures" / "stylegan" / "ffhq_align_io.npz"))


def quad_of(landmarks68: np.ndarray) -> np.ndarray:
    points = landmarks68.astype(np.float64)
    mouth = (points[48] + points[54]) / 2
    return ffhq_quad(points[36:42].mean(0), points[42:48].mean(0), mouth)


@pytest.mark.parametrize("case", CASES)
def test_ffhq_square_is_that_of_the_reference(ffhq_io: dict[str, np.ndarray], case: str) -> None:
    np.testing.assert_allclose(quad_of(ffhq_io[f"{case}__lm"]), ffhq_io[f"{case}__quad"], atol=1e-9)


@pytest.mark.parametrize(("case", "least_db"), [("frontal", 48.0), ("rolled20", 45.0)])
@pytest.mark.parametrize(("size", "which"), [(256, "256_256"), (128, "128_512")])
def test_ffhq_image_is_that_of_the_reference(
    ffhq_io: dict[str, np.ndarray], case: str, least_db: float, size: int, which: str
) -> None:
    # The reference counts landmarks from the middle of the first pixel: half a pixel more here.
    matrix = quad_framing(ffhq_io[f"{case}__quad"] + 0.5, size)
    image = sample(ffhq_io["image"], matrix, size)
    wanted = ffhq_io[f"{case}__aligned_{which}"]
    inner = slice(size // 8, -size // 8)
    assert psnr(image[inner, inner], wanted[inner, inner]) > least_db
    difference = np.abs(image[inner, inner].astype(int) - wanted[inner, inner])
    assert np.percentile(difference, 99) <= 2


def test_ffhq_puts_eyes_level_and_in_the_middle() -> None:
    points = face()
    turned = points[:, :2] @ np.array([[0.9, 0.4], [-0.4, 0.9]]) * 100 + 300
    matrix = ffhq(turned, 256)
    left, right = apply(matrix, turned[[33, 263]])
    assert left[1] == pytest.approx(right[1], abs=0.5)
    assert (left[0] + right[0]) / 2 == pytest.approx(128, abs=0.5)


def test_ned256_is_upright_still_and_holds_the_face() -> None:
    takes = np.stack([face(jaw)[:, :2] * 100 + [300 + shift, 240] for jaw, shift in
                      ((0, 0), (1, 2), (0, -2), (0, 1), (0, -1))])  # fmt: skip
    matrix = ned256(face_boxes(takes), 256)
    assert matrix[0, 1] == matrix[1, 0] == 0
    assert matrix[0, 0] == pytest.approx(matrix[1, 1])
    inside = apply(matrix, takes[0, :468])
    assert inside.min() > 5
    assert inside.max() < 251
    height = np.ptp(inside[:, 1])
    assert height == pytest.approx(256 / 1.12, rel=0.02)


def test_ned256_passes_over_frames_without_a_face() -> None:
    points = face()[None, :, :2] * 100 + 300
    lost = np.full_like(points, np.nan)
    np.testing.assert_allclose(
        ned256(face_boxes(np.concatenate([points, lost, lost])), 256),
        ned256(face_boxes(points), 256),
    )


def test_head_is_the_whole_stored_crop() -> None:
    matrix = compose(square(20.5, 10.0, 300.0, 256), crop_to_frame(20.5, 10.0, 300.0, 512))
    np.testing.assert_allclose(matrix, [[0.5, 0, 0], [0, 0.5, 0]], atol=1e-12)


def test_sampling_at_pixel_edges_is_exact() -> None:
    image = pixels(0, 64, 4)
    moved = sample(image, np.array([[1.0, 0, 10.0], [0, 1.0, -6.0]]), 64)
    np.testing.assert_array_equal(moved[:58, 10:], image[6:, :54])


def test_shrinking_is_the_mean_of_what_a_pixel_covers() -> None:
    image = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    means = image.reshape(64, 4, 64, 4, 3).mean((1, 3))
    shrunk = sample(image, np.array([[0.25, 0, 0], [0, 0.25, 0]]), 64)
    np.testing.assert_allclose(shrunk, means, atol=1.01)


@pytest.mark.parametrize("shrink", [1.5, 1.9, 3.2])
def test_stripes_finer_than_a_pixel_turn_grey(shrink: float) -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    matrix = np.array([[1 / shrink, 0, 0], [0, 1 / shrink, 0]])
    assert (
        sample(stripes, matrix, 128).std() < 0.5 * cv2.warpAffine(stripes, matrix, (128,) * 2).std()
    )


def test_a_framing_through_the_stored_crop_is_that_from_the_frame() -> None:
    frame = pixels(3, 900, 6)
    crop = sample(frame, square(100, 80, 700, 512), 512)
    turn = np.deg2rad(5)
    to_framed = compose(
        np.array([[np.cos(turn), -np.sin(turn), 20], [np.sin(turn), np.cos(turn), -15]]),
        square(200, 180, 420, 256),
    )
    through = sample(crop, compose(to_framed, crop_to_frame(100, 80, 700, 512)), 256)
    assert psnr(through, sample(frame, to_framed, 256)) > 34


def test_mask_is_what_the_frame_covers() -> None:
    matrix = square(-32, 0, 128, 64)
    mask = valid_mask(tuple(matrix.reshape(-1)), (0, 0, 1000, 96), 64)
    assert mask[:48, 16:].all()
    assert mask.mean() == pytest.approx(48 * 48 / 64**2)


def test_mask_follows_a_turn() -> None:
    matrix = np.array([[0.0, -1.0, 64.0], [1.0, 0.0, 0.0]])  # a quarter turn inside 64 px
    mask = valid_mask(tuple(matrix.reshape(-1)), (0, 0, 32, 64), 64)
    corner = apply(invert(matrix), np.array([[10.0, 10.0], [10.0, 60.0]]))
    assert mask[10, 10] == (corner[0, 0] < 32)
    assert mask[60, 10] == (corner[1, 0] < 32)
    assert mask.mean() == pytest.approx(0.5)
