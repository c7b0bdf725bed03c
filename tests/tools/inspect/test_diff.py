"""What changed between two versions, and why."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import simplejpeg

from pipeline.errors import TableError
from pipeline.stages.pose import stage as pose
from pipeline.stages.shards import stage as shards
from pipeline.tools.inspect.diff import compare
from tests.builders.dataset import make_inputs, make_run
from tests.builders.finished_shards import PAIRS, change_manifest, change_rows, seal


def changes(old: Path, new: Path) -> list[tuple[str, str, str, str]]:
    return [(c.kind, c.pair_id, c.why, c.detail) for c in compare(old, new).pairs]


def pair_in(folder: Path) -> str:
    """A clip pair of the first file."""
    return str(pq.read_table(folder / PAIRS, partitioning=None)["pair_id"][0].as_py())


def test_nothing_changed(built: Path, folder: Path) -> None:
    found = compare(built, folder)
    assert (found.kept, found.pairs, found.settings, found.columns) == (4, [], [], [])


def test_values_images_frames_and_split(built: Path, folder: Path) -> None:
    name = pair_in(folder)

    def value(rows: list[dict]) -> None:
        rows[0]["slope"] += 1

    change_rows(folder, PAIRS, value)
    assert changes(built, folder) == [("changed", name, "values", "slope")]

    grey = simplejpeg.encode_jpeg(np.full((128, 128, 3), 99, np.uint8))
    change_rows(folder, PAIRS, lambda rows: rows[0]["source"].update(bytes=grey))
    assert changes(built, folder) == [("changed", name, "values", "slope, source")]

    change_rows(folder, PAIRS, lambda rows: rows.pop())
    (last,) = changes(built, folder)
    assert last[2:] == ("frames", f"0 frame pairs gained, 1 lost of {_count(built, name)}")

    change_rows(folder, PAIRS, lambda rows: [row.update(split="test") for row in rows])
    assert changes(built, folder)[0][2:] == ("split", "train -> test")


def _count(folder: Path, name: str) -> int:
    ids = [
        row
        for path in folder.glob("data/pairs/*.parquet")
        for row in pq.read_table(path, columns=["pair_id"], partitioning=None)[
            "pair_id"
        ].to_pylist()
    ]
    return ids.count(name)


def test_images_alone(built: Path, folder: Path) -> None:
    grey = simplejpeg.encode_jpeg(np.full((128, 128, 3), 99, np.uint8))
    change_rows(folder, PAIRS, lambda rows: rows[0]["target"].update(bytes=grey))
    assert changes(built, folder) == [("changed", pair_in(folder), "images", "target")]


@pytest.mark.slow
def test_lost_and_gained_with_the_reason_of_the_reject(built: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path, min_confidence=0.6)
    make_inputs(run)
    pose.run(run)
    shards.run(run)
    strict = run.folder("shards")
    lost = changes(built, strict)
    assert [c[:3] for c in lost if c[0] == "lost"] == [
        ("lost", "S1_neutral+angry", "low_confidence"),
        ("lost", "S2_neutral+angry", "low_confidence"),
    ]
    assert lost[0][3] == "rejected by shards: no posed frame pair reaches shards.min_confidence"
    gained = [c for c in changes(strict, built) if c[0] == "gained"]
    assert gained[0] == (
        "gained", "S1_neutral+angry", "low_confidence",
        "was rejected by shards: no posed frame pair reaches shards.min_confidence",
    )  # fmt: skip


@pytest.mark.slow
def test_take_that_is_gone_is_the_reason(built: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path)
    make_inputs(run, without="S1_happy")
    pose.run(run)
    shards.run(run)
    without = run.folder("shards")
    assert changes(built, without)[0] == ("lost", "S1_neutral+happy", "lost_take", "S1_happy")
    assert changes(without, built)[0] == ("gained", "S1_neutral+happy", "new_take", "S1_happy")


def test_pair_that_nobody_speaks_of(built: Path, folder: Path) -> None:
    name = pair_in(folder)
    change_rows(
        folder, PAIRS, lambda rows: rows.__setitem__(
            slice(None), [row for row in rows if row["pair_id"] != name]
        ),
    )  # fmt: skip
    (only,) = changes(built, folder)
    assert only[:3] == ("lost", name, "unknown")


def test_settings_and_columns(built: Path, folder: Path) -> None:
    for path in folder.glob("data/takes/*.parquet"):
        table = pq.read_table(path, partitioning=None)
        pq.write_table(table.drop_columns(["fps"]), path)
    seal(folder)
    change_manifest(folder, lambda m: m["versions"].update(opencv="9.9"))
    change_manifest(folder, lambda m: m["split"].update(unit="take"))
    found = compare(built, folder)
    assert found.columns == [("takes", "fps", "lost")]
    assert ("unit", "speaker", "take") in found.settings
    assert next(s for s in found.settings if s[0] == "opencv")[2] == "9.9"
    assert compare(folder, built).columns == [("takes", "fps", "gained")]


def test_command_for_people_and_machines(call, built: Path, folder: Path) -> None:
    change_rows(folder, PAIRS, lambda rows: rows.pop())
    code, out, _ = call("diff", built, folder)
    assert code == 0
    assert "changed    frames      1" in out
    assert "unchanged              3" in out
    value = json.loads(call("diff", built, folder, "--json")[1])
    assert (value["unchanged"], len(value["pairs"])) == (3, 1)
    assert {s["what"] for s in value["settings"]} == {"rows of pairs train"}


def test_what_is_no_dataset_is_told(call, built: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"manifest\.json: there is no manifest"):
        compare(built, tmp_path)
    (folder / PAIRS).write_bytes(b"PAR1")
    code, _, err = call("diff", built, folder)
    assert code == 1
    assert "see: spfem-data verify DIR" in err
    assert "Traceback" not in err
