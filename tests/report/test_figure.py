import numpy as np
import pytest

from pipeline.report.figure import LEFT, RIGHT, WIDTH, Axis, TakeCurves, figure
from tests.report.rows import clip, pair


def curves(n: int, start_s: float = 0.0) -> TakeCurves:
    instants = start_s + (np.arange(n) + 0.5) / 25
    return TakeCurves(instants, np.linspace(0, 0.3, n), start_s, start_s + n / 25)


def test_the_longer_take_fills_the_width() -> None:
    made = pair(clip("S1", "neutral"), clip("S1", "happy"), 4, knots_b_s=(0.0, 1.0))
    drawn = figure(made, curves(25), curves(50), [0, 2], [])
    assert drawn["end_b"] == pytest.approx(WIDTH - RIGHT)
    assert drawn["end_a"] == pytest.approx(LEFT + (WIDTH - LEFT - RIGHT) / 2, abs=0.1)


def test_the_warp_leads_from_a_second_to_where_the_map_puts_it() -> None:
    # b is twice as slow: a line from x on a's axis ends twice as far on b's.
    made = pair(clip("S1", "neutral"), clip("S1", "happy"), knots_a_s=(0, 1), knots_b_s=(0, 2))
    drawn = figure(made, curves(25), curves(50), [0], [])
    for top, bottom in drawn["warp"]:
        assert bottom - LEFT == pytest.approx(2 * (top - LEFT), abs=0.2)


def test_lines_break_where_frames_were_not_paired() -> None:
    made = pair(clip("S1", "neutral"), clip("S1", "happy"), 4)
    gap = pair(
        clip("S1", "neutral"), clip("S1", "happy"), 4, frame_a=(0, 1, 5, 6), frame_b=(0, 1, 5, 6)
    )
    assert len(figure(made, curves(10), curves(10), [0], [])["confidence"]) == 1
    assert len(figure(gap, curves(10), curves(10), [0], [])["confidence"]) == 2


def test_true_errors_beyond_the_panel_are_told_apart() -> None:
    made = pair(clip("S1", "neutral"), clip("S1", "happy"), 4)
    drawn = figure(made, curves(10), curves(10), [0], [0.0, -50.0, 300.0, None])
    assert [(y, beyond) for _, y, beyond in drawn["true"]] == [
        (1.0, False),
        (0.5, False),
        (0.0, True),
    ]


def test_sound_alone_has_no_mouth_panel() -> None:
    made = pair(clip("S1", "neutral"), clip("S1", "happy"), 4)
    deaf = TakeCurves(curves(10).instants_s, np.full(10, np.nan), 0.0, 0.4)
    assert figure(made, deaf, curves(10), [0], [])["mouth"] is None


@pytest.mark.parametrize("length_s", [0.3, 2.4, 61.0, 7000.0])
def test_ticks_are_round_and_few(length_s: float) -> None:
    ticks = Axis(0.013, length_s, 1.0).ticks()
    assert 1 <= len(ticks) <= 13
