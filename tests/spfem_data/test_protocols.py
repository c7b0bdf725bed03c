"""Evaluation lists survive a round trip, and damage is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import TableError
from spfem_data import Trial, read_protocol
from spfem_data.protocols import COLUMNS, protocol_file, to_csv

TRIALS = (
    Trial("cross_id/a+b", "happy", "A", "a", "neutral", 0, 39, "B", "b", "c", False),
    Trial("cross_id/d+e", "neutral", "A", "d", "sad", 5, 5, "B", 'e"f,g', "", True),
)


def write(folder: Path, content: bytes) -> None:
    path = folder / protocol_file("cross_id")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


def test_round_trip(tmp_path: Path) -> None:
    write(tmp_path, to_csv(TRIALS))
    assert read_protocol(tmp_path, "cross_id") == TRIALS


def test_an_empty_list_has_a_header(tmp_path: Path) -> None:
    assert to_csv([]) == (",".join(COLUMNS) + "\n").encode()
    write(tmp_path, to_csv([]))
    assert read_protocol(tmp_path, "cross_id") == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n", "its columns are not trial_id, emotion"),
        (b"", "its columns are not"),
        (b"\xff\xfe\x00", "cannot be read"),
        (to_csv(TRIALS).replace(b",39,", b",many,"), "line 2: not a trial"),
        (to_csv(TRIALS).replace(b",39,", b",-1,"), r"line 2: not a trial \(frames 0 to -1\)"),
        (to_csv(TRIALS).replace(b",true", b",yes"), "line 3: not a trial"),
        (to_csv(TRIALS).replace(b",c,false", b",false"), "line 2: not a trial"),
    ],
)
def test_an_invalid_list_is_reported(tmp_path: Path, content: bytes, message: str) -> None:
    write(tmp_path, content)
    with pytest.raises(TableError, match=message):
        read_protocol(tmp_path, "cross_id")


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        TableError, match="unknown protocol 'voices'; expected one of intra_id, cross"
    ):
        read_protocol(tmp_path, "voices")
    with pytest.raises(TableError, match=r"intra_id\.csv cannot be read"):
        read_protocol(tmp_path, "intra_id")
