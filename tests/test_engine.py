"""One function, serially or on processes: one outcome, also when workers die."""

from __future__ import annotations

import os
import signal
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
