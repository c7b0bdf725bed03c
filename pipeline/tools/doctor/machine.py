"""Cores, memory, and the disk for the outputs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.runtime import machine
from pipeline.tools.doctor.check import Check, in_words

WORKER_BYTES = 1.0e9
"""Memory of an extract worker with decoder and face mesh, rounded up."""
FRAME_BYTES = 51_000 + 37_000
"""Disk space per frame at extract.crop_px 512: the stored crop (32 kB rendered, 51 kB recorded
faces) and its images in the shards (37 kB on the demo)."""
TAKE_FRAMES = 120
"""Assumed length of a take: 4 s at 30 fps, as in MEAD and RAVDESS."""


def cores_and_memory() -> Check:
    """How many workers fit, and what limits them (affinity, cgroup, Slurm)."""
    n, memories = machine.cores(), machine.memory_limits()
    memory = min(limit.value for limit in memories)
    found = (
        f"{n} cores{_limits(machine.core_limits(), '{:g}'.format)}, "
        f"{in_words(memory)} of memory{_limits(memories, in_words)}"
    )
    fit = max(int(memory / WORKER_BYTES), 1)
    if fit < n:
        return Check(
            "machine", "warn", f"{found}: not enough memory for one worker per core", _workers(fit)
        )
    return Check("machine", "ok", found)


def _workers(fit: int) -> str:
    return f"run stages with --workers {fit} (or: export SPFEM_WORKERS={fit})"


def _limits(limits: Sequence[machine.Limit], shown: Callable[[float], str]) -> str:
    """The limits in parentheses, if there are several."""
    if len(limits) == 1:
        return ""
    return f" ({', '.join(f'{limit.source} {shown(limit.value)}' for limit in limits)})"


def nearest_existing(folder: Path) -> Path:
    """The folder, or its nearest existing parent."""
    here = folder.absolute()
    while not here.exists():
        here = here.parent
    return here


def writable(data: Path) -> Check:
    """Whether files can be written to the output folder; the test file is removed."""
    here = nearest_existing(data)
    fix = f"make {here} writable, or choose another folder: --data, SPFEM_DATA"
    if not here.is_dir():
        return Check("outputs", "fail", f"{here} is not a folder", "choose another: --data")
    try:
        with tempfile.NamedTemporaryFile(dir=here, prefix=".spfem-doctor-") as file:
            file.write(b"x" * 4096)
            file.flush()
    except OSError as error:
        return Check("outputs", "fail", f"{here}: {error.strerror}", fix)
    return Check("outputs", "ok", f"{data} is writable")


def disk(dataset: str, takes: int, data: Path) -> Check:
    """Free space compared with the estimated size of a dataset's remaining outputs."""
    free = shutil.disk_usage(nearest_existing(data)).free
    folder = data / dataset
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    need = max(takes * TAKE_FRAMES * FRAME_BYTES - there, 0)
    found = f"{in_words(free)} free, about {in_words(need)} more for {takes} takes"
    if free < need:
        fix = (
            f"free {in_words(need - free)} at {nearest_existing(data)}, choose another disk "
            f"(--data, SPFEM_DATA), or take fewer: datasets.{dataset}.select, extract.crop_px"
        )
        return Check(f"disk {dataset}", "fail", found, fix)
    return Check(f"disk {dataset}", "ok", found)
