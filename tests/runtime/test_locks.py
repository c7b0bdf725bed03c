"""One run at a time on what it writes: locks that survive a killed owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.errors import BusyError, ParameterError, StorageError
from pipeline.runtime.locks import Claim, Working, hold, lock_file
from pipeline.stages import READS, STAGES

_HOLDER = """
import sys, time
from pathlib import Path
from pipeline.runtime.locks import Claim, Working, hold
folder, stage, kind = Path(sys.argv[1]), sys.argv[2], sys.argv[5]
i, n = int(sys.argv[3]), int(sys.argv[4])
if kind == "worker":
    Working(folder, stage, (i, n), dict)()
    print("held", flush=True)
    time.sleep(600)
with hold(folder, Claim.of(stage, (i, n)), say=print, patience_s=0):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def _another(
    folder: Path, stage: str, part: tuple[int, int] = (1, 1), kind: str = "run"
) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a stage, or is a worker of it."""
    command = [sys.executable, "-c", _HOLDER, str(folder), stage, *map(str, part), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def _may(folder: Path, stage: str, part: tuple[int, int] = (1, 1)) -> bool:
    try:
        with hold(folder, Claim.of(stage, part), say=pytest.fail, patience_s=0):
            return True
    except BusyError:
        return False


def test_reads_are_those_of_dvc(repository: Path) -> None:
    stages = YAML(typ="safe", pure=True).load((repository / "dvc.yaml").read_text("utf-8"))[
        "stages"
    ]
    for name in STAGES:
        deps = stages[name].get("do", stages[name])["deps"]
        outs = {str(d).split("/")[2] for d in deps if str(d).startswith("data/")}
        assert set(READS[name]) == outs, name
    assert list(READS) == list(STAGES)


def test_dvc_watches_each_item_once(repository: Path) -> None:
    """As an output of its own stage; others watch the tables, which hold a digest of each item."""
    stages = YAML(typ="safe", pure=True).load((repository / "dvc.yaml").read_text("utf-8"))[
        "stages"
    ]
    for name in STAGES:
        deps = stages[name].get("do", stages[name])["deps"]
        assert not [dep for dep in deps if str(dep).endswith("/items")], name
        assert len(deps) == len(set(deps)), name


def test_a_second_run_of_a_stage_is_refused_in_one_line(tmp_path: Path) -> None:
    with _another(tmp_path / "demo", "align") as process:
        message = rf"another run is working on align of demo \(last process {process.pid} on .*wait"
        with (
            pytest.raises(BusyError, match=message),
            hold(tmp_path / "demo", Claim.of("align"), say=pytest.fail, patience_s=0),
        ):
            pass


def test_who_writes_excludes_who_reads_and_no_other(tmp_path: Path) -> None:
    with _another(tmp_path, "align"):
        free = {stage for stage in STAGES if _may(tmp_path, stage)}
    assert free == {"demo", "score", "directions", "synth"}


def test_a_killed_owner_holds_nothing(tmp_path: Path) -> None:
    with _another(tmp_path, "extract") as process:
        assert not _may(tmp_path, "extract")
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        assert _may(tmp_path, "extract")


def test_a_worker_of_a_killed_run_still_counts(tmp_path: Path) -> None:
    lock_file(tmp_path).parent.mkdir(parents=True)
    lock_file(tmp_path).touch()
    with _another(tmp_path, "extract", kind="worker") as process:
        assert not _may(tmp_path, "extract")
        assert not _may(tmp_path, "align")
        assert _may(tmp_path, "demo")
        process.kill()
        process.wait(30)
        assert _may(tmp_path, "extract")


def test_parts_of_one_number_work_at_once(tmp_path: Path) -> None:
    with _another(tmp_path, "extract", (1, 3)), _another(tmp_path, "extract", (2, 3)):
        assert _may(tmp_path, "extract", (3, 3))
        refused = [(1, 3), (2, 3), (1, 1), (3, 4), (1, 2)]
        assert [part for part in refused if _may(tmp_path, "extract", part)] == []
    assert _may(tmp_path, "extract")


def test_a_process_holds_a_folder_once(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stack.enter_context(hold(tmp_path, Claim.of("align"), say=pytest.fail))
        with pytest.raises(BusyError, match=r"this process is already working on .*"):
            stack.enter_context(hold(tmp_path, Claim.of("extract"), say=pytest.fail))
        assert Working(tmp_path, "align", (1, 1), lambda: 5)() == 5
    assert _may(tmp_path, "align")


def test_a_file_system_without_locks_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("pipeline.runtime.locks.fcntl.lockf", none)
    said: list[str] = []
    with hold(tmp_path, Claim.of("align"), say=said.append):
        pass
    assert len(said) == 1
    assert "does not support locks (No locks available): make sure" in said[0]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("a file, not a folder")
    with (
        pytest.raises(StorageError, match=r"cannot write .*lock: Not a directory"),
        hold(tmp_path / "demo", Claim.of("align"), say=pytest.fail),
    ):
        pass


def test_too_many_parts_are_refused() -> None:
    with pytest.raises(ParameterError, match="at most 4095 parts"):
        Claim.of("extract", (1, 4096))
