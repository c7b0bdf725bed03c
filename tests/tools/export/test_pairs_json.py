"""Pairs in the published schema: names of takes with `_`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.tools.audit.pairlist import clips_by_name, read_pair_list, to_listed, write_pair_list
from tests.builders.pair_lists import clip, pair

NEUTRAL, HAPPY = clip("neutral", "anna_take_1"), clip("happy", "anna_2")


def test_underscores_in_names_become_hyphens(tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    write_pair_list(
        path, to_listed([pair(NEUTRAL, HAPPY)], [NEUTRAL, HAPPY], level=None, view=None)
    )
    (listed,) = read_pair_list(path)
    assert (listed.take_a, listed.take_b, listed.key) == (
        "anna-take-1", "anna-2", "anna-take-1_anna-2",
    )  # fmt: skip
    assert listed.frame_a.tolist() == [0, 2, 3]
    by_name = clips_by_name([NEUTRAL, HAPPY], None)  # audit finds the takes again
    assert by_name["M003", "neutral", listed.take_a] is NEUTRAL
    assert by_name["M003", "happy", listed.take_b] is HAPPY


def test_two_takes_of_one_name_in_the_list_are_refused() -> None:
    clips = [NEUTRAL, HAPPY, clip("happy", "anna-2")]
    with pytest.raises(PipelineError, match="takes 'anna_2' and 'anna-2' of M003 would both be"):
        to_listed([pair(NEUTRAL, HAPPY)], clips, level=None, view=None)
