from dataclasses import replace

import numpy as np
import pytest

from pipeline.stages.report.figure import WIDTH, Axis, TakeCurves, figure
from tests.builders.report_rows import clip, pair


def curves(n: int, start_s: float = 0.0) -> TakeCurves:
    instants = start_s + (np.arange(n) + 0.5) / 25
    return TakeCurves(instants, np.linspace(0, 0.3, n), start_s, start_s + n / 25)


def test_all_panels_lie_on_the_clock_of_take_a() -> None:
    # b is twice as slow: its audio of 2 s stands over a's one second, from end to end.
    made = pair(clip("S1", "neutral"), clip("S1", "happy"), 4, knots_b_s=(0.0, 2.0))
    made = replace(made, knots_a_s=(0.0, 1.0))
    drawn = figure(made, curves(25), curves(50), [0, 2], [])
    assert (drawn["start_s"], drawn["end_s"]) == (0.0, 1.0)
    assert drawn["audio_a"] == drawn["audio_b"] == [0.0, WIDTH]


def test_a_longer_take_b_widens_the_axis() -> None:
    # the map runs on at slope 1: b's second second comes after a's end
    made = pair(clip("S1", "neutral"), clip("S1", "happy"), 4)
    made = replace(made, knots_a_s=(0.0, 1.0), knots_b_s=(0.0, 1.0))
    drawn = figure(made, curves(25), curves(50), [0], [])
    assert drawn["end_s"] == pytest.approx(2.0)
    assert drawn["audio_a"] == [0.0, WIDTH / 2]
    assert drawn["audio_b"] == [0.0, WIDTH]


def test_the_path_leads_from_a_second_to_where_the_map_puts_it() -> None:
    made = pair(clip("S1", "neutral"), clip("S1", "happy"), 4)
    made = replace(made, knots_a_s=(0.0, 0.5, 1.0), knots_b_s=(0.0, 0.5, 2.0))
    path = figure(made, curves(25), curves(50), [0], [])["path"]
    points = [tuple(map(float, point.split(","))) for point in path["line"].split()]
    assert points == [(0.0, 1.0), (500.0, 0.75), (1000.0, 0.0)]
    assert path["even"] == "0,1 1000,0"
    assert (path["top"], path["bottom"]) == ("2.0", "0.0")


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


def test_audio_alone_has_no_mouth_panel() -> None:
    made = pair(clip("S1", "neutral"), clip("S1", "happy"), 4)
    deaf = TakeCurves(curves(10).instants_s, np.full(10, np.nan), 0.0, 0.4)
    assert figure(made, deaf, curves(10), [0], [])["mouth"] is None


@pytest.mark.parametrize("length_s", [0.3, 2.4, 61.0, 7000.0])
def test_ticks_are_round_and_few(length_s: float) -> None:
    ticks = Axis(0.013, length_s).ticks()
    assert 1 <= len(ticks) <= 13
