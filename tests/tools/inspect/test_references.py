"""Configs that the small dataset has not are judged by the same rules."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.tools.inspect.manifest import Listed, Manifest
from pipeline.tools.inspect.references import (
    Part,
    check_families,
    check_leaks,
    check_recordings,
    check_rows,
    check_takes,
    key_of,
    names,
    takes_of,
)
from spfem_data.schema import COLUMNS, CONFIGS


def part(config: str, split_of: str, /, **columns: list[object]) -> Part:
    path = f"data/{config}/{split_of}-00000-of-00001.parquet"
    return Part(Listed(path, "0" * 64, 1, 1), pa.table(columns))


TAKES = part(
    "takes", "train",
    take_id=["t1", "t2"], utterance_id=["t1", "t2"], speaker=["M003", "M003"],
    sentence=["c01", "c02"], split=["train", "train"], emotion=["happy", "sad"], n_frames=[9, 9],
)  # fmt: skip


def families(**columns: list[object]) -> Part:
    given: dict[str, list[object]] = {
        "image_id": ["f1-own", "f1-sad"], "family_id": ["f1", "f1"],
        "is_reconstruction": [True, False], "take_id": ["t1", "t1"], "frame": [3, 3],
        "speaker": ["M003", "M003"], "split": ["train", "train"], "dataset": ["made", "made"],
    }  # fmt: skip
    return part("families", "train", **{**given, **columns})


def test_first_column_names_the_rows_of_every_config() -> None:
    for config in CONFIGS:
        assert key_of(config).endswith("_id")
        assert key_of(config) in names(config)
        assert {"split", "dataset"} <= set(names(config))
        media = [c.name for c in COLUMNS[config] if c.media]
        assert not set(media) & set(names(config))


def test_family_has_one_reconstruction_and_more() -> None:
    assert list(check_families([families()])) == []
    (found,) = check_families([families(is_reconstruction=[False, False])])
    assert "1 families (the first: 'f1') without exactly one reconstruction" in found.what
    (found,) = check_families([families(family_id=["f1", "f2"])])
    assert found.what.startswith("2 families (the first: 'f1')")


def test_family_points_at_its_source_and_inherits_its_split() -> None:
    takes = takes_of([TAKES])
    assert list(check_takes({"families": [families()]}, takes)) == []
    (found,) = check_takes({"families": [families(frame=[3, 9])]}, takes)
    assert found.what == "1 rows (the first: 1): frame 9 is not a frame of 't1'"
    other = part("families", "test", take_id=["t1"])
    (found,) = check_takes({"families": [other]}, takes)
    assert found.what == "1 rows (the first: 0): take_id 't1' is a take of 'train'"


def test_made_images_leak_like_real_ones() -> None:
    configs = {"takes": [TAKES], "families": [part("families", "test", take_id=["t1"])]}
    (found,) = check_leaks("speaker+sentence", configs, takes_of([TAKES]))
    assert found.what.endswith("is in more than one split: M003+c01 (test, train)")


def test_key_that_stands_twice() -> None:
    twice = families(image_id=["f1-own", "f1-own"])
    (found,) = check_rows(Manifest(dataset="made"), {"families": [twice]})
    assert found.what == "1 values of image_id are not unique; the first: 'f1-own'"


def test_rows_whose_takes_have_one_audio(tmp_path: Path) -> None:
    takes = pa.table({
        "take_id": ["t1", "t2", "t3"],
        "audio": [{"bytes": content, "path": ""} for content in (b"one", b"one", b"other")],
    })  # fmt: skip
    listed = part("takes", "train", take_id=["t1", "t2", "t3"])
    path = tmp_path / listed.listed.path
    path.parent.mkdir(parents=True)
    pq.write_table(takes, path)
    pairs = part("pairs", "train", take_a=["t1", "t1"], take_b=["t3", "t2"])
    (found,) = check_recordings(tmp_path, {"takes": [listed], "pairs": [pairs]})
    assert found.check == "recordings"
    assert found.what == "1 rows (the first: 1): takes 't1' and 't2' have the same audio"
