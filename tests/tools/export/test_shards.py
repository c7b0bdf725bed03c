"""Shards in the containers of others: every row, the same bytes, and back again."""

from __future__ import annotations

import importlib.util
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import MissingExtraError, PipelineError
from pipeline.stages.pose import stage as pose
from pipeline.stages.shards import stage as shards
from pipeline.tools.export import shard_formats
from spfem_data.reader import Shards
from spfem_data.schema import COLUMNS, CONFIGS
from tests.builders.dataset import make_inputs, make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_run(tmp_path_factory.mktemp("data"))
    make_inputs(run)
    pose.run(run)
    shards.run(run)
    return run.folder("shards")


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers()}


@pytest.mark.slow
def test_tars_hold_every_row(folder: Path, tmp_path: Path) -> None:
    assert shard_formats.write_tars(folder, "pairs", tmp_path) == 36
    tars = sorted(path.name for path in tmp_path.iterdir())
    assert tars == [f"pairs-{split}-0000{k}.tar" for split in ("test", "train") for k in (0, 1)]
    found = [c for name in tars[2:] for c in members(tmp_path / name).items()]
    wanted = list(Shards(folder, "pairs", "train").rows())
    assert len(found) == 3 * len(wanted) == 54
    texts = [json.loads(content) for name, content in found if name.endswith(".json")]
    assert [text["sample_id"] for text in texts] == [row["sample_id"] for row in wanted]
    assert texts[0] == {k: v for k, v in wanted[0].items() if k not in ("source", "target")}
    images = [content for name, content in found if name.endswith(".target.jpg")]
    assert images == [row["target"]["bytes"] for row in wanted]


def test_files_of_a_sample_lie_together_under_one_key(folder: Path, tmp_path: Path) -> None:
    shard_formats.write_tars(folder, "pairs", tmp_path)
    names = list(members(tmp_path / "pairs-train-00000.tar"))
    assert names[:4] == [
        "train-00000-0000000.source.jpg",
        "train-00000-0000000.target.jpg",
        "train-00000-0000000.json",
        "train-00000-0000001.source.jpg",
    ]


def test_tars_are_the_same_bytes_each_time(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shard_formats.write_tars(folder, "takes", tmp_path / name)
    one, two = (
        {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("one", "two")
    )
    assert one == two
    assert members(tmp_path / "one" / "takes-test-00000.tar").keys() == {
        f"test-00000-000000{k}.{s}" for k in range(3) for s in ("audio.flac", "json")
    }


def test_unknown_config_and_folder_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="no config 'faces'; there are: pairs"):
        shard_formats.write_tars(folder, "faces", tmp_path)
    with pytest.raises(PipelineError, match="has no config 'pairs': there is no manifest"):
        shard_formats.write_tars(tmp_path, "pairs", tmp_path / "out")


def test_every_column_has_an_encoding_of_mds() -> None:
    known = {"str", "bytes", "json", "float32", "float64", "int8", "int16", "int32", "int64"}
    for config in CONFIGS:
        assert {shard_formats.encoding(column) for column in COLUMNS[config]} <= known
    kinds = {c.name: shard_formats.encoding(c) for c in COLUMNS["pairs"]}
    assert (kinds["source"], kinds["affine"], kinds["confidence"], kinds["frame_a"]) == (
        "bytes", "json", "float32", "int32",
    )  # fmt: skip


def test_without_its_library_mds_names_the_extra(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "streaming", None)
    with pytest.raises(
        MissingExtraError, match=r"mosaicml-streaming is not installed; run: .* -e '\.\[mds\]'"
    ):
        shard_formats.write_mds(folder, "pairs", tmp_path)


class Writer:
    """Stands for MosaicML's writer: keeps what it is given."""

    given: list[tuple[str, dict, list]] = []  # noqa: RUF012

    def __init__(self, *, out: str, columns: dict[str, str], hashes: list[str]) -> None:
        self.rows: list[dict] = []
        Writer.given.append((Path(out).name, columns, self.rows))

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None: ...

    def write(self, row: dict) -> None:
        self.rows.append(row)


def test_mds_is_given_every_row_without_nulls(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Writer, "given", [])
    monkeypatch.setitem(sys.modules, "streaming", type("streaming", (), {"MDSWriter": Writer}))
    assert shard_formats.write_mds(folder, "pairs", tmp_path) == 36
    assert [name for name, _, _ in Writer.given] == ["test", "train"]
    _, columns, rows = Writer.given[1]
    wanted = list(Shards(folder, "pairs", "train").rows())
    assert list(columns) == [c.name for c in COLUMNS["pairs"]]
    assert [row["source"] for row in rows] == [row["source"]["bytes"] for row in wanted]
    agreement = [row["mouth_agreement"] for row in rows]
    assert [np.isnan(a) for a in agreement] == [r["mouth_agreement"] is None for r in wanted]
    assert all(v is not None for row in rows for v in row.values())


@pytest.mark.skipif(
    importlib.util.find_spec("streaming") is None, reason="the extra mds is not installed"
)
def test_mds_comes_back(folder: Path, tmp_path: Path) -> None:
    from streaming import StreamingDataset

    shard_formats.write_mds(folder, "pairs", tmp_path)
    back = StreamingDataset(local=str(tmp_path / "train"), shuffle=False, batch_size=1)
    wanted = list(Shards(folder, "pairs", "train").rows())
    assert [row["sample_id"] for row in back] == [row["sample_id"] for row in wanted]
    assert back[3]["affine"] == wanted[3]["affine"]
    with pytest.raises(PipelineError, match="train exists already"):
        shard_formats.write_mds(folder, "pairs", tmp_path)


def test_command(call, folder: Path, tmp_path: Path) -> None:
    code, out, _ = call("export", "--format", "webdataset", "--from", folder, "--out", "tars")
    assert (code, out) == (0, "36 samples: tars\n")
    assert len(list((tmp_path / "tars").iterdir())) == 4
    code, _, err = call("export", "--format", "eat", "--from", folder, "--out", "clips")
    assert code == 1
    assert "--from: eat is written from the tables of --dataset, not from shards" in err
    code, _, err = call("export", "--format", "frame-info", "--out", "tree")
    assert code == 1
    assert "run first: spfem-data extract --dataset demo" in err
