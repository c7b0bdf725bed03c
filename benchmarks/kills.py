"""kill -9 of a stage's whole tree of processes at random moments, then the same command again.

Every stage is run once unbroken, in a folder of its own, which says how long it takes and what it
gives. Then its outputs are removed, and it is started and killed ten times at moments drawn
evenly over that time, and run to its end. A run that ended before its moment does not count: the
outputs are removed and it is tried again. What is printed, a row a stage:

    items       units of work
    done        how many were finished over all runs; beyond `items`, finished work was done twice
    half-done   temporary files that kills left, at most one for each worker and kill
    survivors   processes of a killed tree that were alive 5 s later
    left over   temporary files after the last run
    differ      files that are not byte for byte the unbroken run's

    python -m benchmarks.kills --made --kills 10        # on a corpus of two actors, made at first
    python -m benchmarks.kills --data data --stages align pose --seed 7
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.stages import STAGES
from tests.builders.digests import digests
from tests.builders.sessions import alive
from tests.builders.small_run import drawn

WAY = STAGES[1:]
_WAIT_S = 5.0
_MADE = ("25", "26")
"""The actors of the small corpus."""


@dataclass
class Row:
    """What ten kills of one stage did."""

    stage: str
    seconds: float
    items: int
    kills: int = 0
    done: int = 0
    half_done: int = 0
    survivors: int = 0
    left_over: int = 0
    differ: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing finished was lost and nothing differs."""
        return self.done == self.items and not (self.survivors + self.left_over + self.differ)


@dataclass(frozen=True)
class Bench:
    """A copy of a dataset's outputs, and the command that works on it."""

    data: Path
    dataset: str
    params: Path
    workers: int

    def folder(self, stage: str) -> Path:
        """Where the stage's outputs lie."""
        return self.data / self.dataset / stage

    def start(self, stage: str) -> subprocess.Popen[bytes]:
        """The stage's command as the leader of a session of its own."""
        command = [
            sys.executable, "-m", "cli.main", stage, "--dataset", self.dataset,
            "--data", str(self.data), "--params", str(self.params),
            "--workers", str(self.workers), "--no-lock",
        ]  # fmt: skip
        return subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def finish(self, stage: str) -> None:
        """Run the stage to its end."""
        with self.start(stage) as process:
            _, said = process.communicate()
        if process.returncode:
            raise SystemExit(f"{stage} ended with {process.returncode}: {said.decode()[-400:]}")

    def receipts(self, stage: str) -> int:
        """How many units are finished."""
        return sum(1 for _ in self.folder(stage).rglob("[!.]*.receipt.json"))

    def temporaries(self, stage: str) -> int:
        """How many half-written files lie there."""
        return sum(1 for _ in self.folder(stage).rglob(".tmp-*"))


def main() -> int:
    """Kill every stage; print the table; 1 when anything was lost, left or different."""
    arguments = _arguments()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        bench = _bench(arguments, Path(scratch))
        print("stage       unbroken s  kills  items  done  half-done  survivors  left over  differ")
        rows = []
        for stage in arguments.stages:
            rows.append(_stage(bench, stage, arguments.kills, rng))
            _show(rows[-1])
    return int(not all(row.ok for row in rows))


def _bench(arguments: argparse.Namespace, scratch: Path) -> Bench:
    """The copy to work on, with the outputs to begin with or a corpus made for this."""
    params, copy = arguments.params.resolve(), scratch / "data"
    if arguments.made:
        params = drawn(scratch, _MADE).params
    elif arguments.data is not None:
        ignored = shutil.ignore_patterns("corpus", ".local")
        there = arguments.data / arguments.dataset
        shutil.copytree(there, copy / arguments.dataset, ignore=ignored)
    return Bench(copy, arguments.dataset, params, arguments.workers)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="outputs to begin with; else from extract on")
    parser.add_argument("--made", action="store_true", help="on a small corpus made at first")
    parser.add_argument("--dataset", default="demo")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--stages", nargs="+", choices=WAY, default=list(WAY))
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scratch", type=Path, help="a folder for the copy; else the system's")
    return parser.parse_args()


def _stage(bench: Bench, stage: str, kills: int, rng: random.Random) -> Row:
    shutil.rmtree(bench.folder(stage), ignore_errors=True)
    began = time.monotonic()
    bench.finish(stage)
    row = Row(stage, time.monotonic() - began, bench.receipts(stage))
    wanted = digests(bench.folder(stage))
    shutil.rmtree(bench.folder(stage), ignore_errors=True)
    while row.kills < kills:
        _run_and_kill(bench, row, rng.uniform(0, row.seconds))
    before = bench.receipts(stage)
    bench.finish(stage)
    row.done += bench.receipts(stage) - before
    row.left_over = bench.temporaries(stage)
    found = digests(bench.folder(stage))
    row.differ = sum(found.get(name) != wanted.get(name) for name in found.keys() | wanted.keys())
    return row


def _run_and_kill(bench: Bench, row: Row, moment_s: float) -> None:
    before, waste = bench.receipts(row.stage), bench.temporaries(row.stage)
    with bench.start(row.stage) as process:
        try:
            process.communicate(timeout=moment_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode != -signal.SIGKILL:
        if process.returncode:
            raise SystemExit(f"{row.stage} ended with {process.returncode} by itself")
        shutil.rmtree(bench.folder(row.stage), ignore_errors=True)  # too late: from the beginning
        row.done = 0
        return
    row.kills += 1
    row.survivors += _survivors(process.pid)
    row.done += bench.receipts(row.stage) - before
    row.half_done += max(0, bench.temporaries(row.stage) - waste)


def _survivors(session: int) -> int:
    """Processes of the session that are alive, after they had time to end."""
    deadline = time.monotonic() + _WAIT_S
    while (left := alive(session)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _show(row: Row) -> None:
    print(
        f"{row.stage:<11} {row.seconds:>10.1f} {row.kills:>6} {row.items:>6} {row.done:>5} "
        f"{row.half_done:>10} {row.survivors:>10} {row.left_over:>10} {row.differ:>7}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
