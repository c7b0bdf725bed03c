"""What tracking collects: orientation votes, and measures of single frames."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.faces.crop import Square
from pipeline.faces.measures import head_move, keypoint_error, mean_move, outside_share
from pipeline.faces.track_stats import TrackStats, TurnVotes
from pipeline.media.orientation import Orientation


@pytest.mark.parametrize(
    ("scores", "turn"),
    [
        ([], 0),
        ([[0.9, 0.0, 0.0, 0.0]], 0),
        ([[0.0, 0.0, 0.9, 0.0]], 2),
        ([[0.7, 0.0, 0.85, 0.0], [0.6, 0.0, 0.9, 0.0]], 2),
        ([[0.8, 0.0, 0.85, 0.0]], 0),  # too close
        ([[0.0, 0.0, 0.9, 0.0]] + 4 * [[0.9, 0.0, 0.0, 0.0]], 0),
        ([[0.0, 0.9, 0.0, 0.6], [0.0, 0.0, 0.0, 0.0]], 1),  # without a face: no vote
    ],
)
def test_the_turn_needs_clear_votes(scores: list[list[float]], turn: int) -> None:
    votes = TurnVotes()
    for row in scores:
        votes.add(row)
    assert votes.turn == turn


@pytest.mark.parametrize(
    ("errors", "unconfirmed"),
    [
        ([], False),
        ([0.29], False),
        ([0.31], True),
        ([0.05, 0.9, 0.04], False),
        ([0.05, 0.9, 0.8], True),
        ([np.inf], False),  # one instant without a detection proves nothing
        ([np.inf, np.inf], True),
        ([0.05, np.inf], False),
        ([0.05, np.inf, np.inf], True),
        ([0.05, 0.05, np.inf], False),
    ],
)
def test_landmarks_need_the_detector_at_most_instants(
    errors: list[float], unconfirmed: bool
) -> None:
    stats = TrackStats(Square(0, 0, 100, 100), keypoint_errors=errors)
    assert stats.is_unconfirmed == unconfirmed


def test_the_keypoint_error_is_relative_to_the_eyes() -> None:
    face = np.zeros((478, 3))
    face[[263, 362], 0] = 80.0
    keypoints = np.array([(0.0, 8.0), (80.0, -8.0), (0.0, 0.0), (16.0, 0.0)])
    assert keypoint_error(face, keypoints) == pytest.approx(0.1)


def test_the_head_moves_with_its_rigid_points_only() -> None:
    before = np.zeros((478, 3))
    before[263, 0] = 80.0
    smiling = before.copy()
    smiling[[61, 291], 1] -= 10.0
    assert head_move(before, smiling) == 0
    assert head_move(before, before + np.array((4.0, 0.0, 9.0))) == pytest.approx(0.05)


def test_the_share_outside_counts_points_beyond_each_border() -> None:
    points = np.array([(5, 5), (-1, 5), (5, -1), (101, 5), (5, 51), (100, 50), (0, 0), (50, 25)])
    assert outside_share(points.astype(float), 100, 50) == 0.5


def test_the_move_is_relative_to_the_eyes() -> None:
    face = np.zeros((478, 3))
    face[263, 0] = 80.0
    assert mean_move(face, face + np.array((4.0, 0.0, 9.0))) == pytest.approx(0.05)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3, 4])
@pytest.mark.parametrize(
    "start", [Orientation(), Orientation(True, True, False), Orientation(False, False, True)]
)
def test_quarter_turns_are_clockwise(start: Orientation, quarters: int) -> None:
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    want = np.rot90(start.upright(image), -quarters)
    assert np.array_equal(start.turned(quarters).upright(image), want)
