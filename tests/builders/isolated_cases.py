"""Cases tried one by one in processes of their own: what became of each, how long, how much memory.

A case that dies, hangs or swells costs itself and nothing else; each of these is counted.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import PipelineError, Reject

Try = Callable[[Any, Any], str]
"""(state, case) -> what became of it, a word; a Reject or a PipelineError is a word as well."""
BAD = ("TRACEBACK", "DIED", "HUNG", "SWOLLEN", "EXECUTED", "SPOKE", "ESCAPED", "TOUCHED")
"""Ends that must not be."""


class Result(NamedTuple):
    """What became of one case: kind, word, seconds, megabytes above the worker's own."""

    kind: str
    case: Any
    end: str
    detail: str
    seconds: float
    megabytes: float


class _Worker(NamedTuple):
    process: Any
    pipe: Connection


def try_all(
    cases: Iterable[tuple[str, Any]],
    attempt: Try,
    setup: Callable[[], Any],
    *,
    limit_s: float = 60.0,
    limit_mb: float = 2048.0,
    workers: int = 1,
) -> Iterator[Result]:
    """Try every (kind, case); yields results as they come."""
    todo = iter(cases)
    idle = [_start(attempt, setup) for _ in range(workers)]
    busy: dict[Connection, tuple[_Worker, str, Any, float]] = {}
    try:
        while True:
            while idle:
                case = next(todo, None)
                if case is None:
                    break
                worker = idle.pop()
                worker.pipe.send(case[1])
                busy[worker.pipe] = worker, *case, time.monotonic()
            if not busy:
                return
            ready = wait(list(busy), timeout=0.5)
            for pipe in list(busy):
                worker, kind, case_, began = busy[pipe]
                seconds = time.monotonic() - began
                if pipe in ready:
                    del busy[pipe]
                    result = _received(worker, kind, case_, seconds, limit_mb)
                    yield result
                    gone = result.end in ("DIED",)
                    idle.append(_start(attempt, setup) if gone else worker)
                elif seconds > limit_s:
                    del busy[pipe]
                    _end(worker)
                    yield Result(kind, case_, "HUNG", f"after {seconds:.0f} s", seconds, 0.0)
                    idle.append(_start(attempt, setup))
    finally:
        for worker in [*idle, *(entry[0] for entry in busy.values())]:
            _end(worker)


def _start(attempt: Try, setup: Callable[[], Any]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    mine, yours = context.Pipe()
    process = context.Process(target=_serve, args=(yours, attempt, setup), daemon=True)
    process.start()
    yours.close()
    if not mine.poll(120):
        raise RuntimeError("a worker did not begin")
    mine.recv()
    return _Worker(process, mine)


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


def _received(worker: _Worker, kind: str, case: Any, seconds: float, limit_mb: float) -> Result:
    try:
        end, detail, taken_s, megabytes = worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        code = worker.process.exitcode
        said = signal.Signals(-code).name if code and code < 0 else f"exit {code}"
        _end(worker)
        return Result(kind, case, "DIED", said, seconds, 0.0)
    if megabytes > limit_mb and end not in BAD:
        detail, end = f"{end}: {megabytes:.0f} MB", "SWOLLEN"
    return Result(kind, case, end, detail, taken_s, megabytes)


def _serve(pipe: Connection, attempt: Try, setup: Callable[[], Any]) -> None:
    state = setup()
    pipe.send("ready")
    while True:
        try:
            case = pipe.recv()
        except EOFError:
            return
        before = _reset_peak()
        began = time.monotonic()
        end, detail = _once(attempt, state, case)
        pipe.send((end, detail, time.monotonic() - began, max(0.0, _peak_mb() - before)))


def _once(attempt: Try, state: Any, case: Any) -> tuple[str, str]:
    try:
        return attempt(state, case), ""
    except Reject as reject:
        return reject.reason, reject.detail
    except PipelineError as error:
        return _one_line(error), str(error)
    except BaseException:
        return "TRACEBACK", traceback.format_exc()[-4000:]


def _one_line(error: PipelineError) -> str:
    lines = str(error).splitlines()
    return "one line" if len(lines) == 1 and len(str(error)) < 2000 else "TRACEBACK"


def _reset_peak() -> float:
    """Begin to measure anew; what the process holds now, in MB."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status_mb("VmRSS")


def _peak_mb() -> float:
    return _status_mb("VmHWM")


def _status_mb(field_: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field_):
            return int(line.split()[1]) / 1024
    return 0.0


@dataclass
class Tally:
    """Counts of all results: by kind and end, the longest and the largest, what must not be."""

    ends: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    longest: Result | None = None
    largest: Result | None = None
    bad: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Count one."""
        self.ends[result.kind][result.end] += 1
        if self.longest is None or result.seconds > self.longest.seconds:
            self.longest = result
        if self.largest is None or result.megabytes > self.largest.megabytes:
            self.largest = result
        if result.end in BAD:
            self.bad.append(result)

    @property
    def tried(self) -> int:
        """How many cases."""
        return sum(sum(of.values()) for of in self.ends.values())

    @property
    def total(self) -> Counter[str]:
        """Ends over all kinds."""
        return sum(self.ends.values(), Counter())

    def show(self, title: str) -> None:
        """Print the table."""
        print(f"\n{title}: {self.tried} tried, {len(self.bad)} ended as they must not")
        for kind, of in sorted(self.ends.items()):
            said = ", ".join(f"{end} {n}" for end, n in of.most_common())
            print(f"  {kind:34s} {sum(of.values()):6d}  {said}")
        print(f"  {'all':34s} {self.tried:6d}  {dict(self.total.most_common())}")
        for name, worst in (("longest", self.longest), ("largest", self.largest)):
            if worst is not None:
                size = f"{worst.seconds:.2f} s, {worst.megabytes:.0f} MB"
                print(f"  {name}: {size} ({worst.kind} {_short(worst.case)}: {worst.end})")
        for result in self.bad[:20]:
            print(f"  BAD {result.kind} {_short(result.case)} {result.end}\n{result.detail}")
        sys.stdout.flush()


def _short(case: Any) -> str:
    return str(case)[:160]


def tally(title: str, results: Iterable[Result], every: int = 250) -> Tally:
    """Count all results, with a line of progress now and then."""
    found = Tally()
    for result in results:
        found.add(result)
        if found.tried % every == 0:
            print(f"{title}: {found.tried} tried, {len(found.bad)} bad", file=sys.stderr)
    return found


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of every regular file below a folder."""
    from pipeline.digests import sha256_of

    return {
        os.path.relpath(os.path.join(place, name), folder): sha256_of(Path(place) / name)
        for place, _, names in os.walk(folder)
        for name in sorted(names)
        if os.path.isfile(os.path.join(place, name))
    }
