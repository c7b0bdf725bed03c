"""Cores, memory, and the disk that the outputs go to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.runtime import machine
from pipeline.tools.doctor.check import Check, in_words

WORKER_BYTES = 1.0e9
"""A worker of extract with its decoder and face mesh, rounded up."""
FRAME_BYTES = 51_000 + 37_000
"""What a frame costs on disk at extract.crop_px 512: its stored crop (32 kB drawn, 51 kB recorded
faces) and its pictures in the shards (37 kB on the demo)."""
TAKE_FRAMES = 120
"""Of a take whose length is not known yet: 4 s at 30 frames a second, as MEAD's and RAVDESS's."""


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
        return Check("machine", "warn", f"{found}: too little for a worker a core", _workers(fit))
    return Check("machine", "ok", found)


def _workers(fit: int) -> str:
    return f"give stages --workers {fit} (or: export SPFEM_WORKERS={fit})"


def _limits(limits: Sequence[machine.Limit], shown: Callable[[float], str]) -> str:
    """The limits in parentheses, if there are several."""
    if len(limits) == 1:
        return ""
    return f" ({', '.join(f'{limit.source} {shown(limit.value)}' for limit in limits)})"


def standing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    here = folder.absolute()
    while not here.exists():
        here = here.parent
    return here


def writable(data: Path) -> Check:
    """Whether files can be written where outputs go; what was tried is removed again."""
    here = standing(data)
    mend = f"make {here} writable, or choose another folder: --data, SPFEM_DATA"
    if not here.is_dir():
        return Check("outputs", "fail", f"{here} is no folder", "choose another: --data")
    try:
        with tempfile.NamedTemporaryFile(dir=here, prefix=".spfem-doctor-") as file:
            file.write(b"x" * 4096)
            file.flush()
    except OSError as error:
        return Check("outputs", "fail", f"{here}: {error.strerror}", mend)
    return Check("outputs", "ok", f"{data} can be written")


def disk(dataset: str, takes: int, data: Path) -> Check:
    """Free space against what a dataset's outputs will need beyond what lies there already."""
    free = shutil.disk_usage(standing(data)).free
    folder = data / dataset
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    need = max(takes * TAKE_FRAMES * FRAME_BYTES - there, 0)
    found = f"{in_words(free)} free, about {in_words(need)} more for {takes} takes"
    if free < need:
        mend = (
            f"free {in_words(need - free)} at {standing(data)}, choose another disk (--data, "
            f"SPFEM_DATA), or take fewer: datasets.{dataset}.select, extract.crop_px"
        )
        return Check(f"disk {dataset}", "fail", found, mend)
    return Check(f"disk {dataset}", "ok", found)
