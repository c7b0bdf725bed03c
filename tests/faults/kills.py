"""Kill a run of the whole pipeline at random moments and check that no finished work is lost.

`python -m tests.faults.kills --moments 200` makes a demo corpus of one actor and runs every stage
on it, in one process after the other, each of which lives for a random time and then gets SIGKILL:
alone, with its workers, or one of its workers alone. After every kill, each file that a receipt
names must be complete and every table must open. At the end of the pipeline, all bytes must equal
those of an uninterrupted run, and no source file may have changed. Then it starts afresh.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.digests import sha256_of
from pipeline.runtime.store import RECEIPT
from pipeline.stages import module_of
from tests.builders.digests import digests
from tests.builders.process_growth import children_of
from tests.builders.small_run import Small, drawn, outputs, touched

_STALE = "redone"
_TARGETS = ("group", "group", "parent", "worker")
"""Who is killed: the process with its workers, it alone, or one worker."""


@dataclass
class Figures:
    """The results of all kills."""

    kills: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    finished: int = 0
    crashed: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    unequal: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    files_checked: int = 0
    longest_s: float = 0.0

    @property
    def faults(self) -> int:
        """How many faults; must be zero."""
        return sum(map(len, (self.crashed, self.damaged, self.unequal, self.touched)))

    def lines(self) -> list[str]:
        """The figures as text."""
        at = ", ".join(f"{stage} {n}" for stage, n in self.stages.items())
        who = ", ".join(f"{who} {n}" for who, n in sorted(self.kills.items()))
        return [
            f"kills: {self.kills.total()} ({who})",
            f"  while at: {at}",
            f"  runs completed: {self.finished}, with different bytes: {len(self.unequal)}",
            f"  files checked after kills: {self.files_checked}, damaged: {len(self.damaged)}",
            f"  runs that ended with an error of their own: {len(self.crashed)}",
            f"  source files touched: {len(self.touched)}",
            f"  longest run: {self.longest_s:.1f} s",
        ]


def drive(small: Small, engine: str, mark: Path) -> None:
    """Run every stage in this process; `mark` says at which it is."""
    from pipeline import params
    from pipeline.runtime.locks import Claim, hold
    from pipeline.runtime.run import Options, Run

    values = params.load(small.params)
    modules = {name: importlib.import_module(module_of(name)) for name in small.stages}
    for name, module in modules.items():
        mark.write_text(name, encoding="utf-8")
        options = Options(engine=engine, workers=2)  # type: ignore[arg-type]
        run = Run(small.dataset, values, small.data, options)
        with hold(small.data / small.dataset, Claim.of(name), say=print, patience_s=60):
            module.run(run)


def damaged(small: Small) -> tuple[int, list[str]]:
    """How many files were checked, and those that are not what a receipt or a table promises."""
    found, n = [], 0
    folder = small.data / small.dataset
    for receipt in folder.rglob(f"[!.]*{RECEIPT}"):
        content = json.loads(receipt.read_bytes())
        items = receipt.relative_to(folder).parts[1]
        stem = receipt.name.removesuffix(RECEIPT)
        home = receipt.parent
        if receipt.relative_to(folder).parts[0] == "shards":
            home = Path(str(home).replace(f"{os.sep}{items}{os.sep}", f"{os.sep}data{os.sep}", 1))
        for suffix, output in content["outputs"].items():
            path = home / f"{stem}{suffix}"
            if content["key"] == _STALE:
                continue
            n += 1
            if not path.is_file() or sha256_of(path) != output["sha256"]:
                found.append(path.name)
    for table in folder.glob("*/tables/[!.]*.parquet"):
        n += 1
        try:
            pq.read_metadata(table)
        except (OSError, ValueError):
            found.append(table.name)
    return n, found


def run_kills(
    small: Small,
    work: Path,
    *,
    moments: int,
    seed: int,
    mean_s: float,
    engines: tuple[str, ...],
    minutes: float = 600.0,
) -> Figures:
    """Kill at so many random moments, or until the time is up; see the module."""
    figures, draw = Figures(), random.Random(seed)
    sources = digests(small.sources)
    whole = small.elsewhere(work / "whole")
    _made_inputs(small, whole)
    drive(whole, "serial", work / "mark")
    wanted = outputs(whole)
    broken = small.elsewhere(work / "broken")
    _begin(small, broken)
    began = time.monotonic()
    while figures.kills.total() < moments and time.monotonic() - began < 60 * minutes:
        mark = work / "mark"
        mark.unlink(missing_ok=True)
        code = _live(broken, draw, mark, mean_s, engines, figures)
        n, found = damaged(broken)
        figures.files_checked += n
        figures.damaged += found
        if code == 0:
            figures.finished += 1
            now = outputs(broken)
            figures.unequal += sorted(k for k in {*now, *wanted} if now.get(k) != wanted.get(k))
            _begin(small, broken)
        elif code is not None:
            break
        if figures.faults:
            break
    if not figures.faults:
        _end(broken, wanted, engines[0], work, figures)
    figures.touched = touched(small, sources)
    return figures


def _end(broken: Small, wanted: dict[str, str], engine: str, work: Path, figures: Figures) -> None:
    """What the last kill left comes to its end, too."""
    drive(broken, engine, work / "mark")
    now = outputs(broken)
    figures.finished += 1
    figures.unequal += sorted(k for k in {*now, *wanted} if now.get(k) != wanted.get(k))


def _begin(small: Small, broken: Small) -> None:
    shutil.rmtree(broken.data, ignore_errors=True)
    _made_inputs(small, broken)


def _made_inputs(small: Small, other: Small) -> None:
    """Made takes stand where extract and align would leave theirs; a drawn corpus needs none."""
    if small.dataset == "made":
        for stage in ("extract", "align"):
            shutil.copytree(small.data / "made" / stage, other.data / "made" / stage)


def _live(
    small: Small, draw: random.Random, mark: Path, mean_s: float, engines: tuple[str, ...],
    figures: Figures,
) -> int | None:  # fmt: skip
    """One life of a run: its exit code, None where it was killed."""
    command = [
        sys.executable, "-m", "tests.faults.kills", "--drive", str(small.params), str(small.data),
        small.dataset, ",".join(small.stages), draw.choice(engines), str(mark),
    ]  # fmt: skip
    began = time.monotonic()
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=said
        ) as process,
    ):
        while not mark.exists() and process.poll() is None:
            time.sleep(0.02)
        while True:
            try:
                code = process.wait(draw.expovariate(1 / mean_s))
            except subprocess.TimeoutExpired:
                if _kill(process, draw.choice(_TARGETS), mark, draw, figures):
                    break
            else:
                if code:
                    said.seek(0)
                    figures.crashed.append(said.read().decode(errors="replace")[-2000:])
                return code
        process.wait()
    figures.longest_s = max(figures.longest_s, time.monotonic() - began)
    time.sleep(0.3)  # its workers end by themselves
    return None


def _kill(
    process: subprocess.Popen[bytes], who: str, mark: Path, draw: random.Random, figures: Figures
) -> bool:
    """Send SIGKILL; whether the run is over by that."""
    children = children_of(process.pid)
    if who == "worker" and not children:
        who = "group"
    figures.kills[who] += 1
    figures.stages[mark.read_text(encoding="utf-8") if mark.exists() else "start"] += 1
    if who == "worker":
        with suppress(ProcessLookupError):
            os.kill(draw.choice(children), signal.SIGKILL)
        return False
    if who == "group":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    return True


def main() -> None:
    """Kill and print the figures."""
    if sys.argv[1:2] == ["--drive"]:
        path, data, dataset, way, engine, mark = sys.argv[2:]
        small = Small(Path(path), Path(data), dataset, Path(), tuple(way.split(",")))
        drive(small, engine, Path(mark))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mean-s", type=float, default=3.0, help="mean time until a run is killed")
    parser.add_argument("--minutes", type=float, default=600.0, help="start no run after these")
    parser.add_argument("--folder", type=Path, help="where to work; else a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        work = Path(name)
        small = drawn(arguments.folder or work)
        figures = run_kills(
            small, work, moments=arguments.moments, seed=arguments.seed, mean_s=arguments.mean_s,
            engines=("serial", "processes"), minutes=arguments.minutes,
        )  # fmt: skip
    print("\n".join(figures.lines()))
    for fault in (*figures.crashed, *figures.damaged, *figures.unequal, *figures.touched):
        print(fault)
    sys.exit(figures.faults > 0)


if __name__ == "__main__":
    main()
