"""Whose name it is: ids begin with their speaker's, and others' may begin alike."""

from __future__ import annotations

import pytest

from pipeline.tools.forget.search import Person

ANNA = Person.among("anna", ["anna", "anna_b", "bert"])
SEVEN = Person("7")


@pytest.mark.parametrize(
    "text",
    [
        "anna", '{"speaker": "anna"}', "anna_happy+sad", "<td>anna</td>", "x,anna_neutral_001,y",
        "s1+anna", "items/anna_happy_1_front_001.frames.parquet",
    ],
)  # fmt: skip
def test_own_ids_are_found(text: str) -> None:
    assert ANNA.is_named_in(text)


@pytest.mark.parametrize(
    "text",
    ["", "annabel", "joanna", "anna_b", "anna_b_happy_001", "x_anna", "anna-b", "hanna_", "Anna"],
)
def test_others_ids_are_not(text: str) -> None:
    assert not ANNA.is_named_in(text)


def test_a_number_is_no_name_unless_an_id_begins_with_it() -> None:
    assert SEVEN.is_named_in("7_happy_1_front_001")
    assert not SEVEN.is_named_in('{"fps": 7, "n": 17, "x": "7"}')
    assert SEVEN.owns("items/7/7_happy_1_front_001.audio.flac")
    assert SEVEN.owns("items/7.poses.parquet")
    assert not SEVEN.owns("items/77.poses.parquet")
    assert not SEVEN.owns("data/train-00007-of-00008.parquet")


def test_paths_of_sources_are_taken_widely() -> None:
    actor = Person.among("Actor_26", ["Actor_26", "Actor_2"])
    assert actor.may_be_named_in("/disk/Video_Speech_Actor_26.zip:0:None")
    assert not actor.may_be_named_in("/disk/Video_Speech_Actor_2.zip:0:None")
    assert not Person("Actor_2").is_named_in("Actor_26_happy")
