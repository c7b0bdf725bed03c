"""One function, serially, on processes or on Ray: one outcome, also when workers fail."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from pipeline.errors import MissingExtraError, PipelineError
from pipeline.runtime.executor import Died, InvalidResult, Limits, MemoryExceeded, TimedOut, run

HAS_RAY = importlib.util.find_spec("ray") is not None
RAY = pytest.param(
    "ray",
    marks=[pytest.mark.skipif(not HAS_RAY, reason="the extra ray"), pytest.mark.slow],
)
ENGINES = ["serial", "processes", RAY]
ISOLATED = ["processes", RAY]


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    """One Ray cluster for all tests that want one; it starts with the first, and ends here."""
    yield
    if HAS_RAY and "ray" in sys.modules:
        sys.modules["ray"].shutdown()


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


def _fault(state: int, item: int) -> int:
    """What a decoder does that runs off its buffer."""
    if item == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    return state + item


def _hang(state: int, item: int) -> int:
    while item == 1:
        time.sleep(60)
    return state + item


def _swell(state: int, item: int) -> int:
    held = []
    while item == 1:
        held.append(np.ones(1 << 23))  # 67 MB a step, touched
        time.sleep(0.02)
    return state + item


def _starve(state: int, item: int) -> int:
    if item == 1:
        raise MemoryError
    return state + item


class _Unreadable:
    """What pickles, and cannot be read again."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return int, ("no number",)


def _garble(state: int, item: int) -> Any:
    return _Unreadable() if item == 1 else state + item


def _fail(state: int, item: int) -> int:
    raise ValueError(f"item {item}")


class _Odd(Exception):
    """An exception that pickle cannot bring back."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")


def _fail_oddly(state: int, item: int) -> int:
    raise _Odd(item, item)


def _no_state() -> int:
    raise PipelineError("the weights are gone")


def _die_at_once() -> int:
    os._exit(3)


def _threads(state: int, item: int) -> str:
    return os.environ["OMP_NUM_THREADS"]


def _devices(state: int, item: int) -> str:
    time.sleep(0.2)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def _count_state() -> list[int]:
    return [0]


def _nth(state: list[int], item: int) -> tuple[int, int]:
    """The worker, and how many items it had of one state."""
    state[0] += 1
    return os.getpid(), state[0]


def _all(
    fn: Any, items: dict[str, Any], engine: Any, workers: int = 2, setup: Any = _state, **more: Any
) -> dict[str, Any]:
    if engine == "ray":
        _connect()
    return dict(run(fn, items, setup=setup, engine=engine, workers=workers, **more))


def _connect() -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    if not ray.is_initialized():
        ray.init(num_cpus=3, log_to_driver=False, include_dashboard=False)


def _numbers(n: int) -> dict[str, int]:
    return {str(k): k for k in range(n)}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_item_has_its_outcome(engine: str) -> None:
    assert _all(_add, _numbers(20), engine) == {str(n): n + 10 for n in range(20)}


def test_no_items_is_no_work() -> None:
    assert _all(_add, {}, "processes") == {}


@pytest.mark.parametrize("engine", ISOLATED)
def test_a_worker_has_one_state_for_all_its_items(engine: str) -> None:
    found = list(_all(_nth, _numbers(9), engine, 3, setup=_count_state).values())
    workers = {worker for worker, _ in found}
    assert os.getpid() not in workers
    for worker in workers:
        counts = sorted(nth for w, nth in found if w == worker)
        assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("engine", ISOLATED)
def test_one_item_alone_is_isolated_as_well(engine: str) -> None:
    assert _all(_die_always, {"5": 5}, engine, 1) == {"5": Died(3)}


@pytest.mark.parametrize("engine", ISOLATED)
def test_a_worker_that_dies_takes_nothing_along(engine: str, tmp_path: Path) -> None:
    items = {str(n): (n, str(tmp_path)) for n in range(12)}
    assert _all(_die_once, items, engine) == {str(n): n + 10 for n in range(12)}


@pytest.mark.parametrize("engine", ISOLATED)
@pytest.mark.parametrize(("fn", "killer"), [(_die_always, "5"), (_fault, "2"), (_starve, "1")])
def test_an_item_that_kills_each_time_ends_as_died(engine: str, fn: Any, killer: str) -> None:
    found = _all(fn, _numbers(8), engine)
    assert found.pop(killer) == Died(3)
    assert found == {str(n): n + 10 for n in range(8) if str(n) != killer}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ISOLATED)
def test_an_item_that_hangs_is_ended_and_the_others_go_on(engine: str) -> None:
    found = _all(_hang, _numbers(6), engine, limits=Limits(item_s=2.0))
    assert found.pop("1") == TimedOut(1, 2.0)
    assert found == {str(n): n + 10 for n in range(6) if n != 1}


@pytest.mark.slow
def test_the_clock_of_an_item_is_its_own() -> None:
    """Ten items of 0.3 s on one worker take longer together than each may."""
    found = _all(_nap, _numbers(10), "processes", 1, limits=Limits(item_s=2.5))
    assert found == {str(n): n + 10 for n in range(10)}


def _nap(state: int, item: int) -> int:
    time.sleep(0.3)
    return state + item


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_item_that_swells_is_ended_and_the_others_go_on() -> None:
    found = _all(_swell, _numbers(4), "processes", limits=Limits(worker_gb=0.8))
    assert found.pop("1") == MemoryExceeded(1, 0.8)
    assert found == {str(n): n + 10 for n in range(4) if n != 1}


@pytest.mark.parametrize("engine", ISOLATED)
def test_garbage_costs_its_item(engine: str) -> None:
    found = _all(_garble, _numbers(5), engine)
    assert found.pop("1") == InvalidResult(3)
    assert found == {str(n): n + 10 for n in range(5) if n != 1}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bug_in_the_function_is_raised(engine: str) -> None:
    with pytest.raises(ValueError, match="item"):
        _all(_fail, {"a": 1, "b": 2}, engine)


def test_what_a_worker_raises_tells_where() -> None:
    with pytest.raises(ValueError, match="item 1") as caught:
        _all(_fail, {"a": 1}, "processes")
    assert "in _fail" in str(caught.value.__cause__)
    with pytest.raises(RuntimeError, match="_Odd: 1 and 1"):
        _all(_fail_oddly, {"a": 1}, "processes")


@pytest.mark.parametrize("engine", ENGINES)
def test_what_setup_raises_is_raised_once(engine: str) -> None:
    with pytest.raises(PipelineError, match="the weights are gone"):
        _all(_add, {"a": 1, "b": 2}, engine, setup=_no_state)


def test_workers_that_die_while_they_start_are_no_loop() -> None:
    with pytest.raises(PipelineError, match=r"3 workers in a row crashed on startup.*code 3"):
        _all(_add, {"a": 1, "b": 2}, "processes", setup=_die_at_once)


@pytest.mark.parametrize("engine", ISOLATED)
def test_workers_use_one_thread_each(engine: str) -> None:
    assert set(_all(_threads, {"a": 1, "b": 2}, engine).values()) == {"1"}


def _blas_threads(state: int, item: int) -> set[int]:
    pools = threadpool_info()
    return {pool["num_threads"] for pool in pools if pool["user_api"] == "blas"}


def test_serial_work_uses_one_thread_and_gives_them_back() -> None:
    with threadpool_limits(2, user_api="blas"):
        assert 2 in (before := _blas_threads(0, 0))
        assert _all(_blas_threads, {"a": 1}, "serial") == {"a": {1}}
        assert _blas_threads(0, 0) == before


def test_workers_see_their_own_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    found = _all(_devices, _numbers(8), "processes", 2, devices=["4", "5"])
    assert set(found.values()) == {"4", "5"}
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,5,6"


@pytest.mark.skipif(HAS_RAY, reason="needs a machine without the extra")
def test_without_ray_one_line_names_the_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"ray is not installed.*\.\[ray\]"):
        dict(run(_add, {"a": 1}, setup=_state, engine="ray", workers=2))


def test_the_outcomes_survive_pickling() -> None:
    for outcome in (Died(3), TimedOut(1, 2.0), MemoryExceeded(1, 0.5), InvalidResult(3)):
        assert pickle.loads(pickle.dumps(outcome)) == outcome


_LONG = """
import os, signal, sys, time, pathlib
from pipeline.runtime.executor import run

def work(state, item):
    part = pathlib.Path(sys.argv[1], item + ".part")
    part.write_text(str(os.getpid()))
    part.rename(part.with_suffix(".pid"))
    time.sleep(60)

def state():
    return None

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
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


def _pages_of_large_arrays(state: int, item: int) -> int:
    """Pages that the kernel cleared anew for fifty arrays of 2,048 pages, one after the other."""
    import resource

    np.ones(1 << 20).sum()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        np.ones(1 << 20).sum()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="an allocator of its own")
def test_a_worker_keeps_the_memory_that_an_item_freed() -> None:
    items = {"a": 0}
    found = dict(run(_pages_of_large_arrays, items, setup=_state, engine="processes", workers=1))
    assert found["a"] < 2048
