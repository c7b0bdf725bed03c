"""Rounding is told from change, column by column."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.takes.framed_images import encode
from pipeline.tools.inspect.diff import compare
from tests.builders.dataset import texture
from tests.builders.finished_shards import PAIRS, TAKES, change_manifest, change_rows, copy


def nudge(column: str, share: float) -> Any:
    """A change of all rows' numbers by a share of each."""

    def change(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row[column] = float(np.float32(row[column] * (1 + share)))

    return change


def test_another_order_of_summation_is_rounding(built: Path, folder: Path) -> None:
    change_rows(folder, PAIRS, nudge("confidence", 1e-6))
    found = compare(built, folder)
    assert found.verdict == "rounding"
    (one,) = found.values
    assert (one.config, one.column, one.is_rounding) == ("pairs", "confidence", True)
    assert 1e-7 < one.largest < 2e-6
    assert one.rows > 0


@pytest.mark.parametrize(("share", "verdict"), [(5e-4, "rounding"), (5e-3, "changed")])
def test_the_limit_is_a_thousandth_of_the_columns_largest(
    built: Path, folder: Path, share: float, verdict: str
) -> None:
    change_rows(folder, PAIRS, nudge("slope", share))
    assert compare(built, folder).verdict == verdict


def test_one_moved_pair_is_a_change(built: Path, folder: Path) -> None:
    def move(rows: list[dict[str, Any]]) -> None:
        rows[0]["frame_b"] += 1

    change_rows(folder, PAIRS, move)
    found = compare(built, folder)
    assert found.verdict == "changed"
    assert [(one.column, one.rows, one.is_rounding) for one in found.values] == [
        ("frame_b", 1, False)
    ]


def test_a_row_that_is_gone_is_a_change(built: Path, folder: Path) -> None:
    change_rows(folder, PAIRS, lambda rows: rows.pop())
    found = compare(built, folder)
    assert found.verdict == "changed"
    assert [(one.column, one.rows) for one in found.values] == [("sample_id", 1)]


def test_no_number_where_one_was_is_a_change(built: Path, folder: Path) -> None:
    change_rows(folder, PAIRS, lambda rows: rows[0].update(slope=float("nan")))
    (one,) = compare(built, folder).values
    assert (one.largest, one.is_rounding) == (float("inf"), False)


@pytest.mark.parametrize(("step", "verdict"), [(1, "rounding"), (40, "changed")])
def test_images_are_compared_by_what_they_show(
    built: Path, folder: Path, tmp_path: Path, step: int, verdict: str
) -> None:
    base = texture(3)[:128, :128].astype(int)
    moved = base.copy()
    moved[40:60, 40:60] += step
    other = copy(built, tmp_path / "other")
    for place, image in ((folder, base), (other, moved)):
        content = encode(np.clip(image, 0, 255).astype(np.uint8), 95)
        change_rows(place, PAIRS, partial(_set_source, content))
    found = compare(folder, other)
    assert found.verdict == verdict
    assert [one.column for one in found.values] == ["source"]


def _set_source(content: bytes, rows: list[dict[str, Any]]) -> None:
    rows[0]["source"].update(bytes=content)


def test_other_configs_count(built: Path, folder: Path) -> None:
    change_rows(folder, TAKES, lambda rows: rows[0].update(emotion="sad"))
    (one,) = compare(built, folder).values
    assert (one.config, one.column, one.largest, one.is_rounding) == (
        "takes", "emotion", None, False,
    )  # fmt: skip


def test_the_fingerprint_explains_a_difference(built: Path, folder: Path) -> None:
    def other(content: dict[str, Any]) -> None:
        content["numerics"][0] |= {"mode": "native", "processor": "another"}

    change_manifest(folder, other)
    said = {(what, old, new) for what, old, new in compare(built, folder).settings}
    assert {("mode", "portable", "native"), ("processor", "none", "another")} <= said


@pytest.mark.slow
def test_verify_against_another_version(
    built: Path, folder: Path, call: Callable[..., tuple[int, str, str]]
) -> None:
    change_rows(folder, PAIRS, nudge("confidence", 1e-6))
    code, out, _ = call("verify", str(folder), "--against", str(built))
    assert code == 0
    assert "the same rows and decisions, values differ by rounding only" in out
    change_rows(folder, PAIRS, nudge("slope", 1e-2))
    code, out, _ = call("verify", str(folder), "--against", str(built), "--json")
    assert code == 1
    assert json.loads(out)["against"]["verdict"] == "changed"
