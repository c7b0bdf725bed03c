"""Why items were not used: rows of all stages, filtered, each with the setting that decides it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.errors import REASONS, ParameterError
from pipeline.records import Rejected, rejected
from pipeline.runtime.tables import write_rows
from pipeline.tools.rejects import find_rejects

ROWS = (
    rejected("extract", "take", "A_sad_1_front_001", "silent", "its peak is -72 dB"),
    rejected("align", "clip pair", "A_happy_1_front_002", "no_partner", "best 1.29"),
    rejected(
        "pose", "clip pair", "A_neutral_1_front_003--A_fear_1_front_003", "large_residual", "x"
    ),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The outputs of a dataset of which three items were rejected."""
    for row in ROWS:
        write_rows(tmp_path / row.stage / "tables" / "rejected.parquet", [row], Rejected)
    return tmp_path


def _items(folder: Path, **chosen: str) -> list[str]:
    return [row.item for row in find_rejects(folder, **chosen)]


def test_all_stages_in_order_with_the_setting(folder: Path) -> None:
    rows = find_rejects(folder)
    assert [(row.stage, row.reason, row.setting) for row in rows] == [
        ("extract", "silent", "extract.silence_db"),
        ("align", "no_partner", "align.max_score"),
        ("pose", "large_residual", "pose.max_residual"),
    ]
    assert rows[0].detail == "its peak is -72 dB"
    assert rows[0].kind == "filtered"


def test_by_stage_reason_and_item(folder: Path) -> None:
    assert _items(folder, stage="align") == ["A_happy_1_front_002"]
    assert _items(folder, reason="silent") == ["A_sad_1_front_001"]
    assert _items(folder, item="happy") == ["A_happy_1_front_002"]
    assert _items(folder, item="A_*_001") == ["A_sad_1_front_001"]
    assert _items(folder, item="nobody") == []
    assert _items(folder, stage="align", reason="silent") == []


def test_a_pair_that_was_never_planned_shows_the_rejects_of_its_takes(folder: Path) -> None:
    pair = "A_neutral_1_front_001--A_sad_1_front_001"
    assert _items(folder, item=pair) == ["A_sad_1_front_001"]
    assert _items(folder, item=ROWS[2].item) == [ROWS[2].item]


def test_unknown_names_are_refused(folder: Path) -> None:
    with pytest.raises(ParameterError, match=r"--stage algin: not known; did you mean 'align'\?"):
        find_rejects(folder, stage="algin")
    with pytest.raises(ParameterError, match=r"--reason silnt: not known; did you mean 'silent'\?"):
        find_rejects(folder, reason="silnt")


def test_every_setting_is_a_key_of_params_or_an_option(repository: Path) -> None:
    values = YAML(typ="safe", pure=True).load(repository / "params.yaml")
    options = {"--item-timeout", "--worker-memory"}
    for slug, reason in REASONS.items():
        if not reason.setting or reason.setting in options:
            continue
        value = values
        for key in reason.setting.split("."):
            value = next(iter(value.values())) if key == "<name>" else value[key]
        assert value is not None, slug
