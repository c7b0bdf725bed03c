"""The two commands together: what we export passes our own audit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.records import Clip, Pair, Rejected, Sentence
from pipeline.runtime.tables import write_rows
from tests.builders.pair_lists import EVEN, clip, pair, sentence, write


@pytest.fixture
def dataset(tmp_path: Path) -> None:
    """The tables of extract and align of the dataset demo: two levels and two views of one pair."""
    neutral = [clip("neutral", "001", 1, view) for view in ("front", "top")]
    happy = [clip("happy", "028", level, view) for level in (2, 3) for view in ("front", "top")]
    pairs = [
        pair(a, b, tuple(range(0, 4 + b.level, 2)))
        for a in neutral
        for b in happy
        if a.view == b.view
    ]
    clips = [*neutral, *happy]
    rows = {c.utterance_id: sentence(c, "c01") for c in clips}
    tables = tmp_path / "data" / "demo"
    write_rows(tables / "extract" / "tables" / "clips.parquet", clips, Clip)
    write_rows(tables / "align" / "tables" / "pairs.parquet", pairs, Pair)
    write_rows(tables / "align" / "tables" / "sentences.parquet", rows.values(), Sentence)
    write_rows(tables / "align" / "tables" / "rejected.parquet", [], Rejected)


@pytest.mark.usefixtures("dataset")
def test_ours_round_trip_without_runs_and_one_to_one(call, tmp_path: Path) -> None:
    options = ("--format", "pairs-json", "--dataset", "demo", "--out", "ours.json")
    code, out, _ = call("export", *options)
    assert (code, out.strip()) == (0, "1 clip pairs: ours.json")
    content = json.loads((tmp_path / "ours.json").read_bytes())
    assert content == {"M003": {"happy": {"001_028": [[0, 2, 4, 6], [1, 3, 5, 7]]}}}
    value = json.loads(call("audit-pairs", "ours.json", "--dataset", "demo", "--json")[1])
    row = value["pairs"][0]
    assert (row["one_to_one"], row["monotone"], row["flags"]) == (1.0, True, [])
    assert [run["length"] for run in row["runs"]] == [1, 1]
    assert value["dataset"][0]["verdict"] == "accepted"
    assert value["dataset"][0]["median_ms"] == pytest.approx(1000 / 25, abs=1e-3)


@pytest.mark.usefixtures("dataset")
def test_level_and_view_are_chosen(call, tmp_path: Path) -> None:
    call("export", "--format=pairs-json", "--out=two.json", "--level=2", "--view=top")
    content = json.loads((tmp_path / "two.json").read_bytes())
    assert content["M003"]["happy"]["001_028"] == [[0, 2, 4], [1, 3, 5]]


def test_audit_without_a_dataset_needs_no_data(call, tmp_path: Path) -> None:
    stuck = [[7] * 12, list(range(12))]
    write(tmp_path / "list.json", {"M003": {"sad": {"001_001": EVEN, "002_002": stuck}}})
    code, out, _ = call("audit-pairs", "list.json")
    assert code == 0
    assert "2 clip pairs of 1 speakers, 16 frame pairs" in out
    assert "M003 sad 002_002" in out
    assert "M003 sad 001_001" not in out


def test_what_is_missing_is_one_line(call, tmp_path: Path) -> None:
    write(tmp_path / "list.json", {"M003": {"sad": {"001_001": EVEN}}})
    code, _, err = call("audit-pairs", "list.json", "--dataset", "demo")
    assert code == 1
    assert "run first: spfem-data extract --dataset demo" in err
    code, _, err = call("audit-pairs", "absent.json")
    assert code == 1
    assert err == "error: absent.json: cannot be read (No such file or directory)\n"
