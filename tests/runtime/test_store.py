"""Receipts, keys, files that are whole or absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.digests import digest
from pipeline.runtime.store import FileHashes, ItemStore, atomic_path, write_bytes, write_json

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _store(tmp_path: Path) -> ItemStore:
    store = ItemStore(tmp_path / "items")
    write_bytes(store.path("s/one", ".txt"), b"hello")
    store.commit("s/one", "key1", [".txt"], {"rows": [{"n": 1}]})
    return store


def test_a_unit_is_current_only_with_its_key(tmp_path: Path) -> None:
    store = _store(tmp_path)
    receipt = store.current("s/one", "key1")
    assert receipt is not None
    assert receipt.rows == {"rows": [{"n": 1}]}
    assert receipt.outputs[".txt"]["bytes"] == 5
    assert store.current("s/one", "key2") is None
    assert store.current("s/two", "key1") is None


def test_a_lost_or_cut_output_makes_its_unit_stale(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.path("s/one", ".txt").write_bytes(b"hell")
    assert store.current("s/one", "key1") is None
    store.path("s/one", ".txt").unlink()
    assert store.current("s/one", "key1") is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"unit": 1}'])
def test_a_damaged_receipt_is_no_receipt(tmp_path: Path, content: bytes) -> None:
    store = _store(tmp_path)
    store.path("s/one", ".receipt.json").write_bytes(content)
    assert store.current("s/one", "key1") is None


def test_an_output_that_is_no_longer_given_goes(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.commit("s/one", "key2", [], {"rejected": []})
    assert not store.path("s/one", ".txt").exists()


def test_prune_removes_what_has_lost_its_input(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.commit("s/two", "key", [], {})
    assert store.prune(["s/two"]) == ["s/one"]
    store.sweep()
    assert sorted(p.name for p in store.folder.rglob("*")) == ["s", "two.receipt.json"]


def test_sweep_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    store = _store(tmp_path)
    (store.folder / "s" / ".tmp-123-one.txt").write_bytes(b"half")
    (store.folder / "empty").mkdir()
    store.sweep()
    assert sorted(p.name for p in store.folder.rglob("*")) == [
        "one.receipt.json", "one.txt", "s",
    ]  # fmt: skip


def test_a_unit_being_redone_is_nobodys_and_keeps_its_list_of_outputs(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.retract("s/one")
    write_bytes(store.path("s/one", ".txt"), b"HELLO")  # killed here: as long as the old output
    assert store.current("s/one", "key1") is None
    store.commit("s/one", "key2", [], {})
    assert not store.path("s/one", ".txt").exists()


def test_sweep_removes_an_output_that_no_receipt_names(tmp_path: Path) -> None:
    store = _store(tmp_path)
    write_bytes(store.path("s/two", ".txt"), b"its receipt was never written")
    store.path("s/three", ".receipt.json").write_bytes(b"{")
    store.sweep()
    assert sorted(p.name for p in store.folder.rglob("*")) == ["one.receipt.json", "one.txt", "s"]


def test_a_unit_with_a_damaged_receipt_can_be_removed(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.path("s/one", ".receipt.json").write_bytes(b"[]")
    assert store.prune([]) == ["s/one"]
    store.sweep()
    assert list(store.folder.rglob("*")) == []


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def write_half() -> None:
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"new, ha")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_json_has_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"x": 1, "y": [1.5, None]})
    write_json(tmp_path / "b", {"y": [1.5, None], "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@given(JSON, JSON)
def test_digests_differ_exactly_where_values_do(a: object, b: object) -> None:
    import json

    same = json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    assert (digest(a) == digest(b)) == same


def test_hashes_are_remembered_until_the_file_changes(tmp_path: Path) -> None:
    path, memory = tmp_path / "clip.mp4", tmp_path / "memory.json"
    path.write_bytes(b"abc")
    hashes = FileHashes(memory)
    first = hashes.sha256(path)
    assert hashes.sha256(path, 3) == EMPTY_SHA256
    assert hashes.sha256(path, 0, 1) != first
    hashes.save()
    again = FileHashes(memory)
    again._read = lambda *_: pytest.fail("the file was read again")  # type: ignore[method-assign]
    assert again.sha256(path) == first
    path.write_bytes(b"abcd")
    assert FileHashes(memory).sha256(path) != first
