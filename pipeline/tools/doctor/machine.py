"""Cores, memory, the disk for the outputs, and the tools of versioning: DVC and git."""

from __future__ import annotations

import configparser
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.runtime import machine
from pipeline.tools.doctor.check import Check, in_words
from pipeline.tools.doctor.libraries import installed

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
        detail = f"{found}: not enough memory for one worker per core"
        fix = f"run stages with --workers {fit} (or: export SPFEM_WORKERS={fit})"
        return Check("machine", "warn", detail, fix)
    return Check("machine", "ok", found)


def _limits(limits: Sequence[machine.Limit], shown: Callable[[float], str]) -> str:
    """The limits in parentheses, if there are several."""
    each = ", ".join(f"{limit.source} {shown(limit.value)}" for limit in limits)
    return f" ({each})" if len(limits) > 1 else ""


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


def versioning(here: Path = Path()) -> Iterator[Check]:
    """DVC and git; a folder without dvc.yaml needs neither."""
    if not (here / "dvc.yaml").is_file():
        yield Check("dvc", "ok", "no dvc.yaml here: stages run without versioning")
        return
    folder = Path(sys.executable).parent
    export, dvc, own = f'export PATH="{folder}:$PATH"', *map(shutil.which, ("dvc", "spfem-data"))
    if dvc is None:
        yield Check("dvc", "warn", f"dvc {installed('dvc')} is installed, but not on PATH", export)
    else:
        yield Check("dvc", "ok", f"dvc {installed('dvc')}, {dvc}")
    yield _analytics(here)
    if own is not None and Path(own).resolve().parent == folder.resolve():
        yield Check("command", "ok", own)
    else:  # DVC runs the `spfem-data` on PATH, which must belong to this environment
        detail = "spfem-data is not on PATH" if own is None else f"another one is on PATH: {own}"
        yield Check(
            "command", "warn", f"{detail}; dvc repro would not run this environment", export
        )
    yield _git(here)


def _analytics(here: Path) -> Check:
    """Whether DVC's analytics are off; the local file overrides the project's."""
    parser = configparser.ConfigParser(interpolation=None)
    with suppress(configparser.Error, UnicodeDecodeError):
        parser.read([here / ".dvc" / "config", here / ".dvc" / "config.local"], encoding="utf-8")
    setting = parser.get("core", "analytics", fallback="").strip().lower()
    if os.environ.get("DVC_NO_ANALYTICS") or setting == "false":
        return Check("dvc analytics", "ok", "off")
    fix = "dvc config core.analytics false"
    return Check("dvc analytics", "warn", "on: DVC sends usage data over the network", fix)


def _git(here: Path) -> Check:
    if shutil.which("git") is None:
        detail, fix = "git is not on PATH; versioning needs it", "apt-get install git"
        return Check("git", "warn", detail, fix)
    folders = (here.absolute(), *here.absolute().parents)
    root = next((folder for folder in folders if (folder / ".git").exists()), None)
    if root is None:
        detail, fix = "this folder is not in a git repository", "git init && dvc init"
        return Check("git", "warn", detail, fix)
    attributes = root / ".gitattributes"
    if attributes.is_file() and "filter=lfs" in attributes.read_text("utf-8", "replace"):
        fix = "git lfs pull, then move the files to DVC: git lfs untrack, dvc add"
        return Check("git", "warn", "some files are stored in Git LFS; use DVC instead", fix)
    return Check("git", "ok", f"repository {root}, no LFS")
