"""Cores and memory: the least of affinity, cgroup quota and Slurm's allocation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.options import make_options
from pipeline.runtime.machine import core_limits, cores, memory_limits

NO_SLURM: dict[str, str] = {}


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def test_without_limits_the_affinity_counts(tmp_path: Path) -> None:
    assert cores(tmp_path, NO_SLURM) == 8
    root = _write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"})
    assert cores(root, NO_SLURM) == 8
    assert [limit.source for limit in core_limits(root, NO_SLURM)] == ["CPU affinity"]


@pytest.mark.parametrize(
    ("quota", "expected"), [("50000", 1), ("100000", 1), ("350000", 3), ("1600000", 8)]
)
def test_the_quota_of_a_container(tmp_path: Path, quota: str, expected: int) -> None:
    """Half a core is one worker, not two."""
    root = _write(
        tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{quota} 100000\n"}
    )
    assert cores(root, NO_SLURM) == expected


def test_the_groups_above_count(tmp_path: Path) -> None:
    root = _write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user.slice/job.scope\n",
            "sys/fs/cgroup/user.slice/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/user.slice/job.scope/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/user.slice/memory.max": "3000000000\n",
            "sys/fs/cgroup/user.slice/job.scope/memory.max": "max\n",
        },
    )
    assert cores(root, NO_SLURM) == 2
    assert [(x.value, x.source) for x in memory_limits(root, NO_SLURM)[1:]] == [
        (3_000_000_000, "cgroup limit")
    ]


def test_control_groups_of_version_1(tmp_path: Path) -> None:
    """The path is the host's; inside the container its own group is the root of the mount."""
    root = _write(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/docker/ab\n2:cpu,cpuacct:/docker/ab\n1:name=systemd:/\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "2147483648\n",
        },
    )
    assert cores(root, NO_SLURM) == 2
    assert memory_limits(root, NO_SLURM)[1].value == 2**31
    _write(
        root,
        {
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert cores(root, NO_SLURM) == 8
    assert len(memory_limits(root, NO_SLURM)) == 1


def test_slurm_s_allocation(tmp_path: Path) -> None:
    assert cores(tmp_path, {"SLURM_CPUS_PER_TASK": "3", "SLURM_CPUS_ON_NODE": "6"}) == 3
    assert cores(tmp_path, {"SLURM_CPUS_ON_NODE": "6"}) == 6
    assert cores(tmp_path, {"SLURM_CPUS_PER_TASK": "64"}) == 8
    assert cores(tmp_path, {"SLURM_CPUS_PER_TASK": "many"}) == 8
    assert memory_limits(tmp_path, {"SLURM_MEM_PER_NODE": "4096"})[1].value == 2**32
    per_cpu = {"SLURM_MEM_PER_CPU": "1024", "SLURM_CPUS_PER_TASK": "4"}
    assert memory_limits(tmp_path, per_cpu)[1].value == 2**32


def test_what_is_no_number_is_no_limit(tmp_path: Path) -> None:
    root = _write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\nnonsense\n",
            "sys/fs/cgroup/cpu.max": "100000 0\n",
            "sys/fs/cgroup/memory.max": "",
        },
    )
    assert cores(root, NO_SLURM) == 8
    assert len(memory_limits(root, NO_SLURM)) == 1


def test_workers_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert make_options("processes", 0, "1/1", False, False).workers == 1
    assert make_options("processes", 6, "1/1", False, False).workers == 6
