"""Run for long on much, and show that memory and file handles stay flat.

`python -m tests.faults.soak --minutes 30 --times 10` lays the demo corpus ten times over (its
speakers under other names, by hard links), then runs every stage on it, redoing all, again and
again until the time is up. Every few seconds the resident memory and the open files of the run and
of each of its workers are read; what counts is whether they grow while the same work is done.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline import params
from tests.digests import digests
from tests.faults.small import Small, run_command, touched, write_params

_EVERY_S = 2.0
_WARM_S = 30.0
"""Of a process's life that do not count: libraries are loaded, caches fill."""
_MB = 1 << 20


@dataclass
class Life:
    """One process: seconds, resident bytes and open files at each look; the stage it was at."""

    stage: str
    seconds: list[float] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)

    @property
    def counts(self) -> bool:
        """Whether it lived long enough for a slope."""
        return len(self.seconds) > 5 and self.seconds[-1] - self.seconds[0] > 2 * _WARM_S

    def slope_mb_per_min(self) -> float:
        """How fast its memory grew once it was warm, by the median of slopes (Theil, Sen)."""
        t, y = np.array(self.seconds), np.array(self.rss) / _MB
        warm = t - t[0] > _WARM_S
        t, y = t[warm], y[warm]
        i, j = np.triu_indices(len(t), 1)
        return float(np.median((y[j] - y[i]) / (t[j] - t[i]))) * 60

    def handles_grown(self) -> int:
        """How many more files it had open in the second half of its life than in the first."""
        half = len(self.handles) // 2
        return max(self.handles[half:]) - max(self.handles[:half])


def times_over(corpus: Path, target: Path, times: int) -> int:
    """The MEAD part of the demo corpus so many times, each copy's speakers under other names."""
    speakers = sorted(p.name for p in (corpus / "mead").iterdir() if p.is_dir())
    for k in range(times):
        for number, name in enumerate(speakers):
            other = f"{name[0]}{100 + k * len(speakers) + number:03d}"
            shutil.copytree(corpus / "mead" / name, target / "mead" / other, copy_function=_link)
    return times * len(speakers)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def set_up(folder: Path, corpus: Path | None, times: int) -> Small:
    """The corpus and its params.yaml."""
    base = params.load(None)
    if corpus is None:
        corpus = folder / "demo"
        entry = base.dataset("demo").model_copy(update={"root": str(corpus)})
        write_params(folder / "demo.yaml", base.model_copy(update={"datasets": {"demo": entry}}))
        one = Small(folder / "demo.yaml", folder / "data", "demo", corpus, ())
        done = run_command(one.command("demo"))
        assert done.returncode == 0, done.stderr
    sources = folder / "corpus"
    times_over(corpus, sources, times)
    entry = base.dataset("demo").model_copy(update={"corpus": "mead", "root": str(sources)})
    rules = {entry.split: base.splits[entry.split].model_copy(update={"assign": {}})}
    values = base.model_copy(update={"datasets": {"soak": entry}, "splits": rules})
    write_params(folder / "params.yaml", values)
    way = ("extract", "align", "pose", "score", "filter", "shards", "report")
    return Small(folder / "params.yaml", folder / "data", "soak", sources, way)


def drive(small: Small, mark: Path) -> None:
    """Run the way again and again in this process, redoing all; SIGTERM ends it."""
    import importlib

    from pipeline.run import Options, Run

    values = params.load(small.params)
    modules = {name: importlib.import_module(f"pipeline.stages.{name}") for name in small.way}
    number = 0
    while True:
        for name, module in modules.items():
            mark.write_text(f"{number} {name}", encoding="utf-8")
            module.run(Run(small.dataset, values, small.data, Options(workers=2, force=True)))
        number += 1


def watch(process: subprocess.Popen[bytes], mark: Path, minutes: float) -> dict[int, Life]:
    """Look at the run and its workers until the time is up or it ends."""
    lives: dict[int, Life] = {}
    began = time.monotonic()
    while process.poll() is None and time.monotonic() - began < 60 * minutes:
        stage = mark.read_text(encoding="utf-8") if mark.exists() else "start"
        for pid in (process.pid, *_children(process.pid)):
            seen = _look(pid)
            if seen is not None:
                life = lives.setdefault(pid, Life("run" if pid == process.pid else stage))
                life.seconds.append(time.monotonic() - began)
                life.rss.append(seen[0])
                life.handles.append(seen[1])
        time.sleep(_EVERY_S)
    return lives


def _children(process: int) -> list[int]:
    try:
        found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return [pid for pid in map(int, found) if b"spawn_main" in _command(pid)]
    except FileNotFoundError:
        return []


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _look(pid: int) -> tuple[int, int] | None:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(f"/proc/{pid}/fd"))
    except (FileNotFoundError, ProcessLookupError):
        return None


def lines(lives: dict[int, Life]) -> list[str]:
    """The figures as text: a line for the run, a line a stage for its workers."""
    grouped: dict[str, list[Life]] = defaultdict(list)
    for life in lives.values():
        if life.counts:
            grouped[life.stage].append(life)
    said = []
    for stage, group in grouped.items():
        worst = max(life.slope_mb_per_min() for life in group)
        peak = max(max(life.rss) for life in group) / _MB
        handles = max(max(life.handles) for life in group)
        grown = max(life.handles_grown() for life in group)
        lived = max(life.seconds[-1] - life.seconds[0] for life in group) / 60
        said.append(
            f"{stage}: {len(group)} processes, longest {lived:.1f} min, peak {peak:.0f} MB, "
            f"{worst:+.1f} MB/min at most, files open {handles} at most, {grown:+d} from the first "
            "half to the second"
        )
    return said


def main() -> None:
    """Soak, and print the figures."""
    if sys.argv[1:2] == ["--drive"]:
        path, data, dataset, sources, way, mark = sys.argv[2:]
        drive(
            Small(Path(path), Path(data), dataset, Path(sources), tuple(way.split(","))), Path(mark)
        )
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--corpus", type=Path, help="a demo corpus that is there; else it is made")
    parser.add_argument("--folder", type=Path, help="where to work; else a temporary folder")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=told.folder) as name:
        folder = Path(name)
        small = set_up(folder, told.corpus, told.times)
        before = digests(small.sources)
        print(
            f"{len(before)} source files, {told.times} times the demo's MEAD speakers", flush=True
        )
        mark = folder / "mark"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.soak", "--drive", str(small.params),
             str(small.data), small.dataset, str(small.sources), ",".join(small.way), str(mark)]
        )  # fmt: skip
        lives = watch(process, mark, told.minutes)
        ended = process.poll()
        process.send_signal(signal.SIGTERM)
        process.wait()
        reached = mark.read_text(encoding="utf-8") if mark.exists() else "the start"
        lost = touched(small, before)
    print("\n".join(lines(lives)))
    print(f"passes done and stage reached: {reached}; source files touched: {len(lost)}")
    if ended is not None:
        print(f"the run ended by itself with {ended}")
    sys.exit(bool(lost) or ended is not None)


if __name__ == "__main__":
    main()
