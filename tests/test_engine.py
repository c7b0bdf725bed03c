"""One function, serially or on processes: one outcome, also when workers die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine import Died, run


def _state() -> int:
    return 10


def _add(state: int, item: int) -> int:
    return state + item


def _die_once(state: int, item: tuple[int, str]) -> int:
    number, marks = item
    mark = Path(marks) / str(number)
    if number in (3, 7) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return state + number


def _die_always(state: int, item: int) -> int:
    if item == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return state + item


def _fail(state: int, item: int) -> int:
    raise ValueError(f"item {item}")


def _threads(state: int, item: int) -> str:
    return os.environ["OMP_NUM_THREADS"]


def _all(fn: Any, items: dict[str, Any], engine: Any, workers: int = 2) -> dict[str, Any]:
    return dict(run(fn, items, setup=_state, engine=engine, workers=workers))


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_every_item_has_its_outcome(engine: str) -> None:
    items = {str(n): n for n in range(20)}
    assert _all(_add, items, engine) == {str(n): n + 10 for n in range(20)}


def test_no_items_is_no_work() -> None:
    assert _all(_add, {}, "processes") == {}


def test_a_worker_that_dies_takes_nothing_along(tmp_path: Path) -> None:
    items = {str(n): (n, str(tmp_path)) for n in range(12)}
    assert _all(_die_once, items, "processes") == {str(n): n + 10 for n in range(12)}


def test_an_item_that_kills_each_time_ends_as_died() -> None:
    found = _all(_die_always, {str(n): n for n in range(8)}, "processes")
    assert found.pop("5") == Died(3)
    assert found == {str(n): n + 10 for n in range(8) if n != 5}


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_a_bug_in_the_function_is_raised(engine: str) -> None:
    with pytest.raises(ValueError, match="item"):
        _all(_fail, {"a": 1, "b": 2}, engine)


def test_workers_use_one_thread_each() -> None:
    assert set(_all(_threads, {"a": 1, "b": 2}, "processes").values()) == {"1"}


_LONG = """
import os, sys, time, pathlib
from pipeline.engine import run

def work(state, item):
    part = pathlib.Path(sys.argv[1], item + ".part")
    part.write_text(str(os.getpid()))
    part.rename(part.with_suffix(".pid"))
    time.sleep(60)

def state():
    return None

if __name__ == "__main__":
    list(run(work, {"a": "a", "b": "b"}, setup=state, engine="processes", workers=2))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path: Path, sent: signal.Signals) -> None:
    script = tmp_path / "long_work.py"
    script.write_text(_LONG, encoding="utf-8")
    command = [sys.executable, str(script), str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as parent:
        _until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        workers = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
        assert all(_alive(worker) for worker in workers)
        parent.send_signal(sent)
        assert parent.wait(30) != 0
    _until(lambda: not any(_alive(worker) for worker in workers))


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
