"""What tracking collects: orientation votes, and measures of single frames."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.faces.measures import mean_move, outside_share
from pipeline.faces.track_stats import TurnVotes
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
