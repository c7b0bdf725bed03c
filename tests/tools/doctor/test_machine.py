"""doctor shows what limits cores and memory."""

from __future__ import annotations

import pytest

from pipeline.runtime import machine
from pipeline.runtime.machine import Limit
from pipeline.tools.doctor.machine import cores_and_memory


def _limit(monkeypatch: pytest.MonkeyPatch, cores: list[Limit], memory: list[Limit]) -> None:
    monkeypatch.setattr(machine, "core_limits", lambda *_: cores)
    monkeypatch.setattr(machine, "memory_limits", lambda *_: memory)


def test_each_limit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _limit(
        monkeypatch,
        [Limit(8, "CPU affinity"), Limit(2.5, "cgroup quota")],
        [Limit(8e9, "memory of the machine"), Limit(1.5e9, "cgroup limit")],
    )
    check = cores_and_memory()
    assert check.state == "warn"
    assert check.detail == (
        "2 cores (CPU affinity 8, cgroup quota 2.5), 1.5 GB of memory (memory of the machine "
        "8.0 GB, cgroup limit 1.5 GB): not enough memory for one worker per core"
    )
    assert "--workers 1" in (check.fix or "")


def test_a_machine_without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    _limit(monkeypatch, [Limit(4, "CPU affinity")], [Limit(16e9, "memory of the machine")])
    check = cores_and_memory()
    assert (check.state, check.detail) == ("ok", "4 cores, 16.0 GB of memory")
