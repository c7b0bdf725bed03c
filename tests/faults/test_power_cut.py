"""When the power goes: a disk that forgets what was not synced, cut at every step of a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest

from pipeline.runtime import store as reuse
from pipeline.runtime.store import ItemStore, names_together, write_bytes

UNITS, ENDS = ("s/one", "s/two"), (".1", ".2")


@dataclass
class Disk:
    """The operations of a file system in order: the journal of one run's writes.

    `("sync", name, content)`: a file's bytes are on the disk. `("name", old, new)`: a rename, which
    may reach the disk at any later time, in any order, until `("names", folder)` syncs the folder.
    `("gone", name)`: an unlink, likewise.
    """

    root: Path
    journal: list[tuple[str, ...]] = field(default_factory=list)
    contents: dict[int, bytes] = field(default_factory=dict)

    def below(self, path: object) -> str:
        return Path(str(path)).relative_to(self.root).as_posix()


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """A disk that writes its journal while files below it are written as ever."""
    fake = Disk(tmp_path / "disk")
    fsync, replace, unlink = os.fsync, os.replace, Path.unlink

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if not path.is_relative_to(fake.root):
            return
        if path.is_dir():
            fake.journal.append(("names", fake.below(path)))
        else:
            fake.contents[len(fake.journal)] = path.read_bytes()
            fake.journal.append(("sync", fake.below(path)))

    def renamed(old: object, new: object) -> None:
        replace(old, new)  # type: ignore[arg-type]
        if Path(str(new)).is_relative_to(fake.root):
            fake.journal.append(("name", fake.below(old), fake.below(new)))

    def removed(path: Path, missing_ok: bool = False) -> None:
        there = path.exists()
        unlink(path, missing_ok=missing_ok)
        if there and path.is_relative_to(fake.root):
            fake.journal.append(("gone", fake.below(path)))

    monkeypatch.setattr(reuse.os, "fsync", synced)
    monkeypatch.setattr(reuse.os, "replace", renamed)
    monkeypatch.setattr(Path, "unlink", removed)
    yield fake
    monkeypatch.undo()


def _after_cut(disk: Disk, cut: int, start: dict[str, bytes]) -> Iterator[dict[str, bytes]]:
    """Every content that the disk may have after a cut before step `cut` of the journal.

    A name that was never synced has no bytes that count: the file is empty.
    """
    pending: list[tuple[str, ...]] = []
    live, synced = dict(start), dict(start)
    for k, step in enumerate(disk.journal[:cut]):
        if step[0] == "sync":
            synced[step[1]] = live[step[1]] = disk.contents[k]
        elif step[0] == "names":
            for done in [s for s in pending if str(Path(s[-1]).parent.as_posix()) == step[1]]:
                _apply(synced, done, live)
                pending.remove(done)
        else:
            if step[0] == "name":
                live[step[2]] = live.pop(step[1], b"")
            pending.append(step)
    for chosen in product((False, True), repeat=len(pending)):
        found = dict(synced)
        for step, happened in zip(pending, chosen, strict=True):
            if happened:
                _apply(found, step, live)
        yield {name: content for name, content in found.items() if "/.tmp-" not in f"/{name}"}


def _apply(files: dict[str, bytes], step: tuple[str, ...], live: dict[str, bytes]) -> None:
    if step[0] == "gone":
        files.pop(step[1], None)
    else:
        files[step[2]] = files.pop(step[1], b"")


def _work(store: ItemStore, key: str) -> None:
    """What a stage does: write each unit's outputs, then its receipt; the content names the key."""
    for unit in UNITS:
        if store.current(unit, key) is None:
            store.retract(unit)
            with names_together():
                for end in ENDS:
                    write_bytes(store.path(unit, end), f"{unit} of {key}".encode())
            store.commit(unit, key, ENDS, {})
    store.prune(UNITS)
    store.sweep()


def _lay(folder: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _read(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.slow
@pytest.mark.parametrize("first", [None, "key1"], ids=["fresh", "redone"])
def test_after_any_cut_a_rerun_gives_the_same_bytes(
    disk: Disk, tmp_path: Path, first: str | None
) -> None:
    store = ItemStore(disk.root)
    disk.root.mkdir()
    if first is not None:
        _work(store, first)
    start = _read(disk.root)
    disk.journal.clear()
    _work(store, "key2")
    journal, wanted = list(disk.journal), _read(disk.root)
    states = [state for cut in range(len(journal) + 1) for state in _after_cut(disk, cut, start)]
    assert len(states) >= 17
    for state in states:
        for key in ("key1", "key2"):
            _lay(tmp_path / "cut", state)
            again = ItemStore(tmp_path / "cut")
            _work(again, key)
            for unit in UNITS:
                for end in ENDS:
                    assert again.path(unit, end).read_text() == f"{unit} of {key}"
            if key == "key2":
                assert _read(tmp_path / "cut") == wanted
    print(f"power cut: {len(states)} states of the disk, none lost or mixed")


def test_bytes_are_synced_before_their_name_and_outputs_before_receipts(
    disk: Disk, tmp_path: Path
) -> None:
    disk.root.mkdir()
    _work(ItemStore(disk.root), "key")
    kinds = [step[0] for step in disk.journal]
    a_file = ["sync", "name"]  # the receipt's name may come when it will
    assert kinds == [*a_file, *a_file, "names", *a_file] * 2
    targets = [step[2] for step in disk.journal if step[0] == "name"]
    assert targets == [f"{unit}{end}" for unit in UNITS for end in (*ENDS, ".receipt.json")]


def test_a_disk_without_syncs_would_be_found_out(disk: Disk, tmp_path: Path) -> None:
    """The fake is able to fail: an output whose bytes were not synced is empty after the cut."""
    disk.root.mkdir()
    (disk.root / ".tmp-x").write_bytes(b"content")
    reuse.os.replace(disk.root / ".tmp-x", disk.root / "file")
    states = list(_after_cut(disk, 1, {}))
    assert {"file": b""} in states
