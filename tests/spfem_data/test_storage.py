"""Folders, URLs and their local cache; one line for what cannot be opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest

from pipeline.errors import TableError
from spfem_data import Pairs, Shards, read_protocol
from spfem_data.storage import DatasetFolder
from tests.builders.shards import write_pairs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made")
    write_pairs(made, ["happy"])
    return made


@pytest.fixture
def url(folder: Path) -> Any:
    """The same files in a store that is not a local folder."""
    system = fsspec.filesystem("memory")
    system.put(f"{folder}/", "/bucket/made", recursive=True)
    yield "memory://bucket/made"
    system.rm("/bucket", recursive=True)


def test_a_url_is_read_through_its_cache(folder: Path, url: str, tmp_path: Path) -> None:
    there = Pairs(url, "train", cache=tmp_path, columns=["sample_id", "target"])
    here = Pairs(folder, "train", columns=["sample_id", "target"])
    assert there[:20]["sample_id"] == here[:20]["sample_id"]
    assert (there[:20]["target"] == here[:20]["target"]).all()
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(p.name for p in kept) == [f"train-0000{k}-of-00002.parquet" for k in (0, 1)]
    stamps = [path.stat().st_mtime_ns for path in kept]
    Pairs(url, "train", cache=tmp_path)
    assert [path.stat().st_mtime_ns for path in kept] == stamps


def test_a_file_that_changed_is_downloaded_again(url: str, tmp_path: Path) -> None:
    first = Shards(url, "pairs", "train", cache=tmp_path)
    assert len(first) == 108
    system = fsspec.filesystem("memory")
    name = "/bucket/made/data/pairs/train-00000-of-00002.parquet"
    table = pq.read_table(first.files[0]).slice(0, 7)
    pq.write_table(table, tmp_path / "less.parquet")
    system.put(str(tmp_path / "less.parquet"), name)
    second = Shards(url, "pairs", "train", cache=tmp_path)
    assert len(second) == len(first) - pq.read_metadata(first.files[0]).num_rows + 7
    assert not list(tmp_path.rglob(".part-*"))


def test_a_failed_download_leaves_no_file(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, source: str, target: str, **_: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("connection lost")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "get_file", broken)
    with pytest.raises(TableError, match=r"memory://bucket/made cannot be read: connection lost"):
        Shards(url, "pairs", "train", cache=tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("root", "cache", "message"),
    [
        (
            "/nowhere/at/all",
            None,
            r"/nowhere/at/all: no such folder; expected one that contains data/",
        ),
        ("memory://bucket", None, r"memory://bucket is a URL: pass cache=FOLDER"),
        ("memory://empty", "kept", r"memory://empty/data/pairs has no file of the split 'train'"),
        ("unheard://of", "kept", r"unheard://of cannot be opened: .*unheard"),
    ],
)
def test_what_cannot_be_opened_is_reported(
    root: str, cache: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(TableError, match=message):
        Shards(root, "pairs", "train", cache=None if cache is None else tmp_path / cache)


def test_a_protocol_without_its_library_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(TableError, match="needs a library: Install s3fs to access S3; pip install"):
        DatasetFolder("s3://bucket/x", str(tmp_path)).files("*")


def test_invalid_conditions_and_columns_are_reported(folder: Path) -> None:
    shards = Shards(folder, "pairs", "train")
    with pytest.raises(
        TableError, match="config 'pairs' has no column 'confidense'; it has: sampl"
    ):
        shards.select([("confidense", ">", 0.5)])
    with pytest.raises(TableError, match=r"where=\[\('confidence', '~', 0.5\)\]: "):
        shards.select([("confidence", "~", 0.5)])
    with pytest.raises(TableError, match=r"where=\[\('confidence', '>', 'high'\)\]: "):
        shards.select([("confidence", ">", "high")])
    with pytest.raises(TableError, match="has no column 'face'"):
        Pairs(folder, "train", columns=["face"])
    with pytest.raises(TableError, match="no split 'dev'; there are: train, validation, test"):
        Shards(folder, "pairs", "dev")


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0a1b\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            LFS,
            r"\.parquet is a Git LFS pointer, not the file itself: run `git lfs pull`",
        ),
        ("<!DOCTYPE html><html>quota exceeded", "is a web page, not the file itself: download"),
        ("", "cannot be read: .*; fetch or build the file again"),
    ],
)
def test_a_file_that_is_no_shard_is_named(
    folder: Path, tmp_path: Path, content: str, message: str
) -> None:
    copy = tmp_path / "data/pairs"
    copy.mkdir(parents=True)
    for path in (folder / "data/pairs").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "train-00000-of-00002.parquet").write_text(content)
    with pytest.raises(TableError, match=message):
        Shards(tmp_path, "pairs", "train")


def test_a_protocol_that_is_a_pointer_is_named(tmp_path: Path) -> None:
    (tmp_path / "protocols").mkdir()
    (tmp_path / "protocols/intra_id.csv").write_text(LFS)
    with pytest.raises(TableError, match="is a Git LFS pointer"):
        read_protocol(tmp_path, "intra_id")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_cached_files_follow_the_umask(url: str, tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        files = Shards(url, "pairs", "train", cache=tmp_path / "cache").files
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in files] == [mode] * 2


def test_missing_permission_is_reported(
    folder: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faked, because root may read everything."""

    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(pq, "read_schema", denied)
        with pytest.raises(TableError, match=r"parquet cannot be read: permission denied; ask"):
            Shards(folder, "pairs", "train")
    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", denied)
        with pytest.raises(TableError, match="cannot be read: permission denied; ask its own"):
            Shards(folder, "pairs", "train")
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda *_: False)
        with pytest.raises(TableError, match="cannot be used as cache: permission denied; choose"):
            Shards(url, "pairs", "train", cache=tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", denied)
        with pytest.raises(TableError, match="cannot be used as cache: permission denied; choose"):
            Shards(url, "pairs", "train", cache=tmp_path / "new")
