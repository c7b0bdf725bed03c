"""The inventory on one screen: counts by level, stars for missing takes, one row per kind."""

from __future__ import annotations

import json

from pipeline.corpora.inventory import Cell, Hole, Inventory
from pipeline.corpora.inventory_table import as_json, overview

CELLS = (
    Cell("Actor_01", "neutral", 1, "front", 4, 4),
    Cell("Actor_01", "happy", 1, "front", 4, 4),
    Cell("Actor_01", "happy", 3, "front", 6, 6),
    Cell("Actor_02", "neutral", 1, "front", 4, 4),
    Cell("Actor_02", "sad", 3, "front", 2, 2),
    Cell("M003", "neutral", 1, "down", 3, 0),
    Cell("M003", "neutral", 1, "front", 4, 0),
    Cell("M003", "neutral", 1, "top", 3, 0),
)
HOLES = (
    Hole("no_emotion", "Actor_01", "", 4, "sad"),
    Hole("no_level", "Actor_02", "sad 1", 2, ""),
    Hole("gap", "Actor_01", "happy 3", 2, "007-008"),
    Hole("gap", "M003", "neutral 1", 1, "004"),
    *(Hole("spare_video", "Actor_01", f"happy {k}", 1, "x") for k in range(1, 6)),
    Hole("no_view", "Actor_01", "top", 14, ""),
    Hole("no_view", "Actor_02", "top", 6, ""),
)
FOUND = Inventory(CELLS, HOLES, (("unreadable", 2, "a.mp4: broken"),))


def test_the_matrix_by_levels() -> None:
    title, columns, rows = overview(FOUND)[0]
    assert title == "30 takes of 3 speakers, 3 views; levels 1/3; * incomplete"
    assert columns == ["speaker", "view", "neutral", "happy", "sad", "all"]
    assert rows == [
        ["Actor_01", "front", "4", "4/6*", "-", "14"],
        ["Actor_02", "front", "4", "-", "0/2*", "6"],
        ["M003", "down, top", "3*", "-", "-", "3"],
        ["M003", "front", "4*", "-", "-", "4"],
    ]


def test_the_matrix_for_narrow_terminals() -> None:
    title, columns, rows = overview(FOUND, by_level=False)[0]
    assert title == "30 takes of 3 speakers, 3 views; * incomplete"
    assert columns == ["speaker", "view", "neu", "hap", "sad", "all"]
    assert rows[0] == ["Actor_01", "front", "4", "10*", "-", "14"]


def test_one_view_has_no_column() -> None:
    one = Inventory(CELLS[:5], (), ())
    (only,) = overview(one)
    assert only[0] == "20 takes of 2 speakers, front view; levels 1/3"
    assert only[1] == ["speaker", "neutral", "happy", "sad", "all"]
    assert only[2][0] == ["Actor_01", "4", "4/6", "-", "14"]


def test_holes_are_one_row_a_kind() -> None:
    rows = {row[0]: row[1:4] for row in overview(FOUND)[1][2]}
    assert rows == {
        "no_emotion": ["4", "sad", "Actor_01"],
        "no_level": ["2", "", "Actor_02"],
        "gap": ["3", "", "Actor_01; M003"],
        "no_view": ["20", "top", "Actor_01-02"],
        "spare_video": ["5", "5 places", "Actor_01"],
    }


def test_rejected_files_by_reason() -> None:
    assert overview(FOUND)[2] == (
        "rejected", ["reason", "files", "for example"], [["unreadable", "2", "a.mp4: broken"]]
    )  # fmt: skip


def test_for_machines() -> None:
    told = json.loads(json.dumps(as_json(FOUND)))
    assert told["takes"] == 30 == sum(cell["takes"] for cell in told["cells"])
    assert told["cells"][2] == {
        "speaker": "Actor_01", "emotion": "happy", "level": 3, "view": "front", "takes": 6,
        "with_audio_file": 6,
    }  # fmt: skip
    assert len(told["holes"]) == len(HOLES)
    assert told["rejects"] == [{"reason": "unreadable", "files": 2, "example": "a.mp4: broken"}]
