"""A clock that was set back, and times that lie: what counts is content."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pipeline.runtime.store import FileHashes
from pipeline.stages.pose import stage as pose
from pipeline.stages.shards import stage as shards
from tests.builders.dataset import make_inputs, make_run
from tests.builders.digests import digests

DAY_S = 86400.0


@pytest.mark.slow
def test_outputs_of_tomorrow_are_reused_and_nothing_changes(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    make_inputs(run)
    pose.run(run)
    shards.run(run)
    before = digests(tmp_path)
    tomorrow = time.time() + DAY_S
    for path in tmp_path.rglob("*"):
        os.utime(path, (tomorrow, tomorrow))
    assert (pose.run(run).done, shards.run(run).done) == (0, 0)
    assert digests(tmp_path) == before


@pytest.mark.parametrize("shift_s", [-DAY_S, 0.0, DAY_S])
def test_a_source_rewritten_within_its_old_times_is_read_again(
    tmp_path: Path, shift_s: float
) -> None:
    path, memory = tmp_path / "clip.mp4", tmp_path / "memory.json"
    path.write_bytes(b"first")
    hashes = FileHashes(memory)
    first = hashes.sha256(path)
    hashes.save()
    stat = path.stat()
    path.write_bytes(b"other")  # as long as before
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + int(shift_s * 1e9)))
    assert FileHashes(memory).sha256(path) != first


def test_a_file_written_while_it_is_read_is_not_remembered(tmp_path: Path) -> None:
    path, memory = tmp_path / "clip.mp4", tmp_path / "memory.json"
    path.write_bytes(b"first")
    hashes = FileHashes(memory)
    read = hashes._read

    def slow(*arguments: object) -> str:
        value = read(*arguments)  # type: ignore[arg-type]
        path.write_bytes(b"other!")
        return value

    hashes._read = slow  # type: ignore[assignment,method-assign]
    first = hashes.sha256(path)
    hashes._read = read  # type: ignore[method-assign]
    assert hashes.sha256(path) != first
