"""`spfem-data rejects`: what is printed, for people and for machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.records import Rejected, rejected
from pipeline.runtime.tables import write_rows


@pytest.mark.slow
def test_prints_item_stage_reason_setting_and_detail(call, tmp_path: Path) -> None:
    row = rejected("extract", "take", "A_sad_1_front_001", "silent", "its peak is -72 dB")
    write_rows(tmp_path / "data/demo/extract/tables/rejected.parquet", [row], Rejected)
    code, out, err = call("rejects")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "demo: 1 rejected",
        "  item               stage    reason  setting             detail",
        "  A_sad_1_front_001  extract  silent  extract.silence_db  its peak is -72 dB",
    ]
    value = json.loads(call("rejects", "--item", "A_*", "--json")[1])
    assert value == {
        "dataset": "demo",
        "rejects": [row.to_row() | {"setting": "extract.silence_db"}],
    }
    assert call("rejects", "--item", "B")[1] == "demo: nothing rejected matches\n"
    code, _, err = call("rejects", "--dataset", "dmeo")
    assert code == 1
    assert "did you mean 'demo'?" in err
