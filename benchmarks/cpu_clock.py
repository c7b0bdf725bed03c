"""spfem-data by a clock that counts processors' seconds: about what an idle machine's would tell.

On a machine that does other work as well, seconds of the clock say little, and what a stage is seen
to cost differs from run to run. Here the clock of a process is what its processor has spent on it,
and on the busiest of its ended workers: as if they had worked side by side and nobody else had.
Waiting (for disks, networks, GPUs) is not counted. Linux alone.

    python -m benchmarks.cpu_clock extract --dataset demo
"""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_ended: list[float] = []
"""Seconds of each worker that has ended."""


def clock() -> float:
    """Seconds of this process and of the busiest of its ended workers."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime + max(_ended, default=0.0)


time.perf_counter = clock  # before anything of ours is imported: workers import this module, too


def count_workers() -> None:
    """Note what workers have spent when they end."""
    from pipeline.runtime.executor import local

    end = local._Worker.end

    def noted(worker: Any) -> None:
        _ended.append(_spent_by(worker.process.pid))
        end(worker)

    local._Worker.end = noted  # type: ignore[method-assign]


def _spent_by(process: int) -> float:
    try:
        told = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0.0
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """The command line, by this clock."""
    from cli import stages
    from cli.main import main as command

    count_workers()
    stages.time = SimpleNamespace(monotonic=clock)  # type: ignore[assignment]
    sys.exit(command())


if __name__ == "__main__":
    main()
