"""A few kills at random moments; `python -m tests.faults.kills`: 200 over the whole way."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.builders import small_run
from tests.faults import kills


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_is_lost_at_any_moment(tmp_path: Path) -> None:
    found = kills.run_kills(
        small_run.made(tmp_path), tmp_path, moments=4, seed=1, mean_s=0.4, engines=("serial",)
    )
    print("\n".join(found.lines()))
    assert found.faults == 0, found
    assert found.kills.total() == 4
    assert found.finished >= 1
    assert found.files_checked > 0


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    store = tmp_path / "demo" / "pose" / "items"
    store.mkdir(parents=True)
    (store / "S1.txt").write_bytes(b"whole")
    receipt = {"unit": "S1", "key": "k", "outputs": {".txt": {"sha256": "0" * 64, "bytes": 5}}}
    (store / "S1.receipt.json").write_text(json.dumps(receipt), encoding="utf-8")
    run = small_run.Small(tmp_path / "p", tmp_path, "demo", tmp_path, ())
    assert kills.damaged(run) == (1, ["S1.txt"])
