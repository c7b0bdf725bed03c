"""The published schema: what is refused and how it is said, and what is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.tools.audit.pairlist import read_pair_list, write_pair_list
from tests.builders.pair_lists import EVEN, listed, write


def test_pairs_come_sorted_with_their_names(tmp_path: Path) -> None:
    content = {
        "W011": {"sad": {"002_029": EVEN, "001_028": EVEN}},
        "M003": {"fear": {"01-01_01-02": EVEN}},
    }
    pairs = read_pair_list(write(tmp_path / "list.json", content))
    assert [pair.name for pair in pairs] == [
        "M003 fear 01-01_01-02", "W011 sad 001_028", "W011 sad 002_029",
    ]  # fmt: skip
    assert (pairs[1].take_a, pairs[1].take_b) == ("001", "028")
    assert pairs[0].frame_b.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "the list is a list of 0, expected an object with one key per speaker"),
        ({}, "contains no clip pair"),
        ({"M003": 3}, "M003 is 3, expected an object with one key per emotion"),
        (
            {"M003": {"sad": []}},
            'M003 sad is a list of 0, expected an object with one key per "NNN_NNN"',
        ),
        ({"M003": {"sad": {"001": EVEN}}}, "M003 sad 001: expected a key of two takes"),
        ({"M003": {"sad": {"1_2_3": EVEN}}}, "M003 sad 1_2_3: expected a key of two takes"),
        ({"M003": {"sad": {"1_2": [[0]]}}}, "expected two lists of frames, found a list of 1"),
        (
            {"M003": {"sad": {"1_2": [[0], []]}}},
            "expected a list of frame numbers, found a list of 0",
        ),
        (
            {"M003": {"sad": {"1_2": [[0, 1], [0]]}}},
            "M003 sad 1_2: 2 and 1 frames, expected equal numbers",
        ),
        ({"M003": {"sad": {"1_2": [[0.5], [0]]}}}, "0.5 is not a frame number"),
        ({"M003": {"sad": {"1_2": [[True], [0]]}}}, "True is not a frame number"),
        ({"M003": {"sad": {"1_2": [[-1], [0]]}}}, "-1 is not a frame number"),
    ],
)
def test_what_is_no_pair_list_is_said_in_one_line(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(PipelineError, match=re.escape(said)) as error:
        read_pair_list(write(tmp_path / "list.json", content))
    assert "\n" not in str(error.value)


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text('{"M003": {"sad": {"1_2": [[0], [0]], "1_2": [[1], [1]]}}}')
    with pytest.raises(PipelineError, match="the key '1_2' occurs twice"):
        read_pair_list(path)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.json").write_bytes(content)
    with pytest.raises(PipelineError, match=r"list\.json: not JSON"):
        read_pair_list(tmp_path / "list.json")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="cannot be read"):
        read_pair_list(tmp_path / "list.json")


def test_what_is_written_is_read_again_and_the_order_given_does_not_matter(tmp_path: Path) -> None:
    pairs = [listed("002", EVEN), listed("001", [[3, 5], [4, 9]])]
    write_pair_list(tmp_path / "one.json", pairs)
    write_pair_list(tmp_path / "two.json", reversed(pairs))
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    again = read_pair_list(tmp_path / "one.json")
    assert [(p.name, p.frame_b.tolist()) for p in again] == [
        ("M003 happy 001_001", [4, 9]), ("M003 happy 001_002", [0, 1, 2, 3]),
    ]  # fmt: skip


def test_what_the_schema_cannot_say_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="does not allow _ in takes"):
        write_pair_list(tmp_path / "list.json", [listed("take_1", EVEN)])
    with pytest.raises(PipelineError, match="M003 happy 001_002 would name two pairs"):
        write_pair_list(tmp_path / "list.json", [listed("002", EVEN), listed("002", EVEN)])
    assert list(tmp_path.iterdir()) == []
