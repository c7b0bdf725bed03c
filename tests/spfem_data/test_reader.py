import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import simplejpeg
import torch
from torch.utils.data import DataLoader

from pipeline.errors import TableError
from pipeline.runtime.run import Run
from pipeline.stages.pose import stage as pose
from pipeline.stages.shards import stage as shards
from spfem_data.datasets import Pairs, Windows, identity_collate
from spfem_data.reader import Shards
from tests.builders.dataset import make_inputs, make_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_run(tmp_path_factory.mktemp("data"))
    make_inputs(run)
    pose.run(run)
    shards.run(run)
    return run


@pytest.fixture
def folder(made: Run) -> Path:
    return made.folder("shards")


def plain_rows(folder: Path, split: str) -> list[dict[str, object]]:
    files = sorted((folder / "data" / "pairs").glob(f"{split}-*.parquet"))
    return [row for path in files for row in pq.read_table(path).to_pylist()]


@pytest.mark.slow
def test_rows_are_in_file_order(folder: Path) -> None:
    opened = Shards(folder, "pairs", "train")
    assert len(opened) == 18
    wanted = [row["sample_id"] for row in plain_rows(folder, "train")]
    assert [row["sample_id"] for row in opened.rows(["sample_id"])] == wanted


def test_conditions_select_rows(folder: Path) -> None:
    opened = Shards(folder, "pairs", "train")
    chosen = opened.rows(["sample_id"], [("mouth_agreement", ">", 0.8), ("confidence", ">=", 0.5)])
    wanted = [
        row["sample_id"]
        for row in plain_rows(folder, "train")
        if row["mouth_agreement"] is not None and row["confidence"] >= 0.5
    ]
    assert [row["sample_id"] for row in chosen] == wanted
    assert len(wanted) == 6
    assert len(opened.select([("emotion_b", "in", ["sad"])])) == 0


def test_conditions_skip_row_groups(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Shards(folder, "pairs", "train")
    read: list[list[str]] = []
    real = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_group",
        lambda self, g, columns=None, **k: read.append(columns) or real(self, g, columns, **k),
    )
    assert len(opened.select([("confidence", ">", 0.9)])) == 1
    assert read == [["confidence"]]


def test_a_batch_has_the_images_of_its_rows(folder: Path) -> None:
    pairs = Pairs(folder, "train", columns=["sample_id", "source", "target", "affine", "level_a"])
    rows = plain_rows(folder, "train")
    order = [17, 0, 5, 5]
    batch = pairs.__getitems__(order)
    assert batch["sample_id"] == [rows[i]["sample_id"] for i in order]
    assert batch["source"].shape == batch["target"].shape == (4, 3, 128, 128)
    assert batch["source"].dtype == torch.uint8
    assert batch["affine"].tolist() == [rows[i]["affine"] for i in order]
    assert batch["level_a"].tolist() == [1, 1, 1, 1]
    for k, i in enumerate(order):
        for name in ("source", "target"):
            pixels = simplejpeg.decode_jpeg(rows[i][name]["bytes"], "RGB")
            np.testing.assert_array_equal(batch[name][k].permute(1, 2, 0).numpy(), pixels)
    single = pairs[5]
    assert single["sample_id"] == rows[5]["sample_id"]
    assert torch.equal(single["source"], batch["source"][2])


def test_null_numbers_are_nan(folder: Path) -> None:
    pairs = Pairs(folder, "train", columns=["mouth_agreement", "emotion_b"])
    batch = pairs.__getitems__(list(range(18)))
    for value, emotion in zip(batch["mouth_agreement"].tolist(), batch["emotion_b"], strict=True):
        assert (value == pytest.approx(0.9)) if emotion == "happy" else np.isnan(value)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_loader_returns_each_row_once(folder: Path, workers: int) -> None:
    loader = DataLoader(
        Pairs(folder, "train", where=[("confidence", ">", 0.1)]),
        batch_size=4,
        shuffle=True,
        num_workers=workers,
        collate_fn=identity_collate,
        multiprocessing_context="spawn" if workers else None,
    )
    ids = [i for batch in loader for i in batch["sample_id"]]
    wanted = [r["sample_id"] for r in plain_rows(folder, "train") if r["confidence"] > 0.1]
    assert sorted(ids) == sorted(wanted)


def test_windows_have_consecutive_pairs(folder: Path) -> None:
    windows = Windows(folder, "train", columns=["sample_id", "source", "target", "frame_a"])
    assert len(windows) == 11
    batch = windows.__getitems__([10, 0])
    assert batch["source"].shape == (2, 4, 3, 128, 128)
    assert batch["frame_a"].tolist() == [[8, 9, 10, 11], [0, 1, 2, 3]]
    rows = list(Shards(folder, "sequences", "train").rows())
    assert batch["sample_id"] == [rows[10]["sample_ids"], rows[0]["sample_ids"]]
    one = windows[10]
    assert one["target"].shape == (4, 3, 128, 128)
    assert torch.equal(one["target"], batch["target"][0])


def test_windows_by_condition(folder: Path) -> None:
    sure = Windows(folder, "train", where=[("min_confidence", ">=", 0.5)], columns=["confidence"])
    assert len(sure) == 3
    assert all(sure[k]["confidence"].min() >= 0.5 for k in range(len(sure)))


def test_unknown_schema_version_is_refused(folder: Path, tmp_path: Path) -> None:
    path = sorted((folder / "data" / "takes").glob("test-*.parquet"))[0]
    table = pq.read_table(path)
    metadata = {**table.schema.metadata, b"spfem_data.schema_version": b"99"}
    target = tmp_path / "data" / "takes" / path.name
    target.parent.mkdir(parents=True)
    pq.write_table(table.replace_schema_metadata(metadata), target)
    with pytest.raises(TableError, match="schema version 99; this package reads 1"):
        Shards(tmp_path, "takes", "test")


def test_missing_file_is_refused(folder: Path, tmp_path: Path) -> None:
    path = sorted((folder / "data" / "pairs").glob("train-*.parquet"))[0]
    target = tmp_path / "data" / "pairs" / path.name
    target.parent.mkdir(parents=True)
    target.write_bytes(path.read_bytes())
    with pytest.raises(TableError, match="1 files of 'train', but their names say 2"):
        Shards(tmp_path, "pairs", "train")


@pytest.mark.parametrize(("config", "split", "message"), [
    ("pairs", "validation", "no file of the split 'validation'"),
    ("faces", "train", "no config 'faces'; there are: pairs, sequences, takes"),
])  # fmt: skip
def test_a_missing_config_or_split_is_named(
    folder: Path, config: str, split: str, message: str
) -> None:
    with pytest.raises(TableError, match=message):
        Shards(folder, config, split)


@pytest.mark.slow
def test_reader_imports_no_library_of_the_pipeline() -> None:
    code = (
        "import sys, spfem_data.reader, spfem_data.datasets, spfem_data.masks;"
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'cv2', 'pydantic', 'ruamel', 'av', 'librosa', 'mediapipe', 'numba', 'scipy', 'dtw'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
