"""A worker that runs out of memory costs its item: it is recorded, and tried again when asked."""

from __future__ import annotations

import os
import resource
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.records import Rejected
from pipeline.runtime.run import Options, Run
from pipeline.runtime.store import ItemStore, write_bytes
from pipeline.runtime.units import Unit, UnitResult, run_units
from tests.builders.dataset import make_run

_ROOM = 1 << 30


def _limited() -> None:
    """The setup of a worker that may not have a gigabyte more than it has."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + _ROOM, now + _ROOM))


def _hog(state: None, store: ItemStore, unit: str, payload: str) -> UnitResult:
    """Ask for more than there is, or be what the kernel's OOM killer takes."""
    if payload == "asks":
        bytearray(16 << 30)
    elif payload == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    write_bytes(store.path(unit, ".txt"), unit.encode())
    return UnitResult([".txt"])


def _units(**payloads: str) -> list[Unit]:
    return [Unit(name, f"key of {name}", payload) for name, payload in payloads.items()]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path)


def _reasons(batch: Any) -> dict[str, str]:
    return {row.item: row.kind for row in batch.rejects() if isinstance(row, Rejected)}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["asks", "killed"])
def test_an_item_without_memory_is_recorded_and_costs_no_other(run: Run, how: str) -> None:
    run = replace(run, options=Options("processes", 2))
    units = _units(a="fine", b=how, c="fine", d="fine")
    batch = run_units(run, "pose", "take", units, _hog, _limited)
    store = run.items("pose")
    assert _reasons(batch) == {"b": "failed"}
    assert [name for name in "abcd" if store.path(name, ".txt").is_file()] == ["a", "c", "d"]
    again = replace(run, options=Options("processes", 2, retry_failed=True))
    repaired = [replace(unit, payload="fine") for unit in units]
    assert _reasons(run_units(again, "pose", "take", repaired, _hog)) == {}
    assert store.path("b", ".txt").read_bytes() == b"b"
