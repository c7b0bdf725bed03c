"""Pixels and landmarks share one convention."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.demo_corpus.head import Expression, Head
from pipeline.demo_corpus.head_pose import Pose, rotation
from pipeline.demo_corpus.rasteriser import EMPTY_Z, draw_triangles
from pipeline.demo_corpus.speakers import CAST

STILL = Expression(np.zeros((2, 17)), 0.0, (0.0, 0.0))


def _inside(corners: np.ndarray, size: int) -> np.ndarray:
    """Pixels whose centre lies in a triangle, the slow way."""
    x, y = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    signs = []
    for a, b in ((0, 1), (1, 2), (2, 0)):
        edge = corners[b] - corners[a]
        signs.append(edge[0] * (y - corners[a, 1]) - edge[1] * (x - corners[a, 0]))
    signs = np.stack(signs)
    return (signs >= 0).all(0) | (signs <= 0).all(0)


def test_a_triangle_covers_the_pixels_whose_centres_it_holds() -> None:
    rng = np.random.default_rng(3)
    size = 40
    for scale in (2.0, 8.0, 40.0, 90.0):
        for _ in range(40):
            corners = rng.uniform(-5, 45, 2) + rng.uniform(-scale, scale, (3, 2))
            screen = np.concatenate([corners, np.zeros((3, 1))], axis=1)
            depth = np.full((size, size), EMPTY_Z)
            draw_triangles(
                np.zeros((size, size, 3), np.float32), depth, np.zeros((size, size), np.uint8),
                screen, np.array([[0, 1, 2]]), np.array([1]), 0, np.zeros((3, 2)),
                np.ones((3, 3)), np.zeros(3), np.zeros((8, 512, 3), np.uint8),
                np.zeros((256, 256), np.float32),
            )  # fmt: skip
            np.testing.assert_array_equal(depth > EMPTY_Z, _inside(corners, size))


@pytest.mark.slow
def test_a_dot_painted_at_a_point_is_seen_at_its_landmark() -> None:
    """Landmarks are pixel-edge coordinates: the centre of pixel i is i + .5."""
    size = 512
    head = Head(CAST["M903"], size)
    pose = Pose(0.0, -5.0, 4.0, 150.0, 256.0, 400.0)
    u, v = np.arange(512)[None, :] + 0.5, np.arange(head.atlas.shape[0])[:, None] + 0.5
    head.scene[:] = 0
    errors = []
    for point in (151, 50, 280, 205, 425, 199, 6, 5, 36, 266, 108, 337):
        at = head.body.uv[point]
        spot = 250 * np.exp(-((u - at[0]) ** 2 + (v - at[1]) ** 2) / (2 * 1.6**2))
        head.atlas = np.repeat(spot[:, :, None], 3, axis=2).astype(np.uint8)
        head._shine[:] = 0
        head._grain[:] = 0
        drawn = head.draw(STILL, pose, 0)
        x, y = drawn.landmarks_px[point]
        column, row = int(x), int(y)
        near = drawn.image[row - 5 : row + 6, column - 5 : column + 6, 1].astype(float)
        middles = np.arange(-5, 6) + 0.5
        seen = np.array([near.sum(0) @ middles + column * near.sum(),
                         near.sum(1) @ middles + row * near.sum()]) / near.sum()  # fmt: skip
        errors.append(seen - [x, y])
    errors = np.array(errors)
    assert np.sqrt((errors**2).mean()) < 0.2
    assert np.abs(errors.mean(0)).max() < 0.06


@pytest.mark.slow
@pytest.mark.parametrize(
    ("angles", "point", "axis", "sign"),
    [((20, 0, 0), 4, 0, 1), ((0, 20, 0), 4, 1, 1), ((0, 0, 20), 10, 0, -1)],
    ids=["yaw turns the nose right", "pitch lifts it", "roll tilts the top left"],
)
def test_signs_of_rotation(
    angles: tuple[float, float, float], point: int, axis: int, sign: int
) -> None:
    rest = Head(CAST["M903"], 64).muscles.points[point]
    moved = rotation(*angles) @ rest
    assert np.sign(moved[axis] - rest[axis]) == sign


@pytest.mark.slow
def test_landmarks_follow_from_the_stated_pose() -> None:
    head = Head(CAST["26"], 128)
    pose = Pose(-14.0, 6.0, -5.0, 32.0, 66.0, 96.0)
    drawn = head.draw(STILL, pose, 0)
    turned = drawn.face @ pose.matrix.T
    x, y = pose.origin_px
    want = np.stack([x + 32.0 * turned[:, 0], y - 32.0 * turned[:, 1]], axis=1)
    np.testing.assert_allclose(drawn.landmarks_px, want, atol=1e-9)
    again = Head(CAST["26"], 128).draw(STILL, pose, 0)
    np.testing.assert_array_equal(drawn.image, again.image)
