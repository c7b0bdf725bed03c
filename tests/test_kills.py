"""kill -9 of a run's whole tree, then the same command: nothing finished is lost, bytes equal."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.runtime.store import ItemStore
from tests.builders.sessions import alive

ITEMS, WORKERS, KILLS = 24, 2, 3

_STAGE = """
import os, sys, time
from pathlib import Path
from pipeline import params
from pipeline.digests import digest
from pipeline.runtime.store import write_bytes
from pipeline.runtime.run import Options, Run
from pipeline.runtime.units import UnitResult, Unit, run_units

def work(state, store, unit, item):
    began, number = item
    (Path(began) / f"{unit}-{os.getpid()}-{time.time_ns()}").touch()
    for part in range(3):
        time.sleep(0.01)
        write_bytes(store.path(unit, f".{part}.bin"), bytes([number, part]) * 50_000)
    return UnitResult([f".{part}.bin" for part in range(3)], {"rows": [{"n": number}]})

if __name__ == "__main__":
    data, began, n, workers = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    units = [Unit(f"S{k % 3}/{k:03}", digest(["made", k]), (began, k)) for k in range(n)]
    for speaker in range(3):
        Path(began, f"S{speaker}").mkdir(exist_ok=True)
    run = Run("demo", params.load(None), data, Options("processes", workers))
    batch = run_units(run, "align", "take", units, work)
    print(batch.done, batch.reused, flush=True)
"""
"""A stage of small items that notes each beginning; it has the name of one that there is."""


class _Stage:
    """The stage's command on a folder, and what lies there."""

    def __init__(self, folder: Path) -> None:
        self.script, self.data, self.began = folder / "stage.py", folder / "data", folder / "began"
        self.began.mkdir(parents=True)
        self.script.write_text(_STAGE, encoding="utf-8")
        self.store = ItemStore(self.data / "demo" / "align" / "items")

    def start(self) -> subprocess.Popen[str]:
        words = [str(self.script), str(self.data), str(self.began), str(ITEMS), str(WORKERS)]
        return subprocess.Popen(
            [sys.executable, *words], start_new_session=True, stdout=subprocess.PIPE, text=True
        )

    def finish(self) -> tuple[int, int]:
        with self.start() as process:
            said, _ = process.communicate()
        assert process.returncode == 0
        done, reused = said.split()
        return int(done), int(reused)

    def begun(self) -> int:
        return sum(1 for _ in self.began.glob("*/*"))

    def files(self) -> dict[str, bytes]:
        folder = self.store.folder
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.glob("*/*")}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="kills a session")
def test_killed_at_random_moments_and_run_again(tmp_path: Path) -> None:
    whole, broken = _Stage(tmp_path / "whole"), _Stage(tmp_path / "broken")
    assert whole.finish() == (ITEMS, 0)
    rng = random.Random(5)
    for _ in range(KILLS):
        known = len(broken.store.units())
        with broken.start() as process:
            wanted = known + rng.randrange(1, ITEMS // KILLS)
            while len(broken.store.units()) < wanted:
                assert process.poll() is None
                time.sleep(0.001)
            os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        _until_gone(process.pid)
        assert len(_forgive(broken)) <= WORKERS
    finished = len(broken.store.units())
    assert broken.finish() == (ITEMS - finished, finished)
    assert broken.begun() == ITEMS  # each begun once, but for those that were in flight
    assert broken.files() == whole.files()


def _forgive(stage: _Stage) -> list[Path]:
    """Forget and name the beginnings of what was in flight: it begins again."""
    finished = stage.store.units()
    marks = {p: f"{p.parent.name}/{p.name.split('-')[0]}" for p in stage.began.glob("*/*")}
    lost = [mark for mark, unit in marks.items() if unit not in finished]
    for mark in lost:
        mark.unlink()
    return lost


def _until_gone(session: int) -> None:
    """Wait for the session's processes: killed ones may still be on their way out."""
    deadline = time.monotonic() + 20
    while alive(session):
        assert time.monotonic() < deadline
        time.sleep(0.01)
