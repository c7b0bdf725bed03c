"""The square of the stored crop."""

from __future__ import annotations

import pytest

from pipeline.faces.crop import Square, size_of, square_for


def test_one_face_gives_a_square_of_margin_times_its_size() -> None:
    square = square_for([(100.0, 200.0, 260.0, 400.0)], 1.9, 512)
    assert square.side == 380
    assert square.stored_px == 380  # never enlarged
    assert square.x + square.side / 2 == pytest.approx(180, abs=2)
    assert square.y + square.side / 2 == pytest.approx(300 - 0.05 * 200, abs=2)
    assert all(value % 4 == 0 for value in (square.x, square.y, square.side))


def test_a_large_face_is_stored_smaller() -> None:
    square = square_for([(100.0, 200.0, 600.0, 800.0)], 1.9, 512)
    assert (square.side, square.stored_px) == (1140, 512)
    assert square.scale == pytest.approx(1140 / 512)


def test_a_way_widens_the_square_until_it_holds() -> None:
    first = (100.0, 200.0, 260.0, 400.0)
    last = (600.0, 220.0, 760.0, 420.0)
    start = square_for([first], 1.9, 512)
    assert start.holds(first)
    assert not start.holds(last)
    wide = square_for([first, last], 1.9, 512)
    assert wide.holds(first)
    assert wide.holds(last)
    assert size_of(last) == 200


def test_a_face_needs_room_around_it() -> None:
    square = Square(0, 0, 400, 400)
    assert square.holds((30.0, 100.0, 230.0, 300.0))
    assert not square.holds((29.0, 100.0, 229.0, 300.0))
    assert not square.holds((180.0, 100.0, 380.0, 300.0))
