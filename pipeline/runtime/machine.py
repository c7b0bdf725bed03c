"""How many cores and how much memory this process may use: the least of all limits on it.

A container's quota and a Slurm allocation do not show in `os.cpu_count` or in the physical memory.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_ROOT = Path("/")
_UNLIMITED_BYTES = 1 << 60
"""Version 1 of cgroups writes a number above this where there is no limit."""


@dataclass(frozen=True)
class Limit:
    """One limit, in cores or bytes, and what sets it."""

    value: float
    source: str


def cores(root: Path = _ROOT, environment: Mapping[str, str] = os.environ) -> int:
    """How many workers this process should start at most by default, at least 1."""
    return max(int(min(limit.value for limit in core_limits(root, environment))), 1)


def core_limits(root: Path = _ROOT, environment: Mapping[str, str] = os.environ) -> list[Limit]:
    """The limits on the number of cores: CPU affinity, cgroup quota, and Slurm's allocation.

    Parameters
    ----------
    root
        The folder below which `proc` and `sys` are.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    n = len(affinity(0)) if affinity else os.cpu_count() or 1
    limits = [Limit(n, "CPU affinity" if affinity else "cores of the machine")]
    quotas = _cgroup_texts(root, "cpu", "cpu.max", "cpu.cfs_quota_us cpu.cfs_period_us")
    quota = min(map(_ratio, quotas), default=math.inf)
    if math.isfinite(quota):
        limits.append(Limit(quota, "cgroup quota"))
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        allocated = environment.get(name, "")
        if allocated.isdecimal() and int(allocated):
            return [*limits, Limit(int(allocated), name)]
    return limits


def memory_limits(root: Path = _ROOT, environment: Mapping[str, str] = os.environ) -> list[Limit]:
    """The limits on memory, in bytes: physical memory, the cgroup's, and Slurm's allocation."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [Limit(physical, "memory of the machine")]
    files = _cgroup_texts(root, "memory", "memory.max", "memory.limit_in_bytes")
    cgroup = min(map(_bytes, files), default=math.inf)
    if cgroup < _UNLIMITED_BYTES:
        limits.append(Limit(cgroup, "cgroup limit"))
    per_node = environment.get("SLURM_MEM_PER_NODE", "")
    per_cpu = environment.get("SLURM_MEM_PER_CPU", "")
    if per_node.isdecimal() and int(per_node):
        limits.append(Limit(int(per_node) * 2**20, "SLURM_MEM_PER_NODE"))
    elif per_cpu.isdecimal() and int(per_cpu):
        allocated = int(per_cpu) * cores(root, environment) * 2**20
        limits.append(Limit(allocated, "SLURM_MEM_PER_CPU"))
    return limits


def _cgroup_texts(root: Path, controller: str, v2: str, v1: str) -> Iterator[str]:
    """Files of this process's control group and of all groups above it, joined by spaces.

    `v2` and `v1` are the names of the files in each version of cgroups.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0" and not names:
            files, mounts = v2, ("", "unified")
        elif controller in names.split(","):
            files, mounts = v1, (names, controller)
        else:
            continue
        group = PurePosixPath(path.lstrip("/") or ".")
        for mount in mounts:
            for place in (group, *group.parents):  # a container sees its own group as the root
                folder = root / "sys/fs/cgroup" / mount / place
                yield " ".join(_read(folder / name) for name in files.split())


def _ratio(text: str) -> float:
    quota, _, period = text.partition(" ")
    known = quota.strip().isdecimal() and period.strip().isdecimal() and int(period)
    return int(quota) / int(period) if known else math.inf  # `max` or -1: no limit


def _bytes(text: str) -> float:
    return int(text) if text.strip().isdecimal() else math.inf


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:  # another system, or a controller that is not mounted
        return ""
