"""Cost against takes, for every stage, and what DVC adds: 100 to 2,000 made takes of half a second.

A made corpus in MEAD's layout: each speaker has the same 20 takes (8 neutral, 4 of three emotions,
on four shared sentences) of 8 drawn frames, its files different by some bytes. Each stage runs as
its own command. Seconds of processor are counted beside those of the clock: a busy machine disturbs
them less. The exponent is the slope of log(processor seconds) over log(takes) from the smallest to
the largest corpus, and between the two largest, where what a command costs at all counts least.

    python -m benchmarks.growth --work /tmp/growth --takes 100 500 2000
    python -m benchmarks.growth --work /tmp/growth --takes 2000 --dvc  # DVC on what then lies there

With --dvc the repository is copied beside the largest corpus, with a git and a DVC of its own:
seconds of `dvc repro` with nothing to do, after one take more and after another parameter of align
and back, what each stage redid and reused, which stages DVC did not even start, and whether the
lock is that of a fresh run. The networks' stages are given few frames a take, so
that what they cost beside their networks shows.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from pipeline.stages import STAGES
from tests.builders.drawn_faces import drawn, rgb
from tests.builders.media_files import AUDIO_HZ, write_media
from tests.builders.process_growth import children_of
from tests.builders.speech import RATE_HZ, speak

HERE = Path(__file__).resolve().parent.parent
FRAMES, FPS = 8, 15
PLAN = {"neutral": (1, 8), "happy": (3, 4), "angry": (3, 4), "sad": (3, 4)}
"""Level and number of takes of each emotion; take k of each says sentence k."""
PER_SPEAKER = sum(n for _, n in PLAN.values())
STAGES_HERE = STAGES[1:]
_COPIED = (
    "cli",
    "pipeline",
    ".dvcignore",
    "dvc.yaml",
    "params.yaml",
    "pyproject.toml",
    "README.md",
)


_FEW = {"score": 4, "invert": 3, "synth": 1}
"""Frames of a take that the networks' stages are given."""
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Cost:
    """What one command cost: seconds of the clock, of all processors; MB of the command's own
    process, and of its largest worker."""

    wall_s: float
    cpu_s: float
    main_mb: float
    worker_mb: float
    said: str


# ---------------------------------------------------------------- the corpus


def takes() -> Iterator[tuple[str, int, int]]:
    """Emotion, level and number of a speaker's takes."""
    for emotion, (level, n) in PLAN.items():
        for number in range(1, n + 1):
            yield emotion, level, number


def make_base(folder: Path) -> dict[tuple[str, int], bytes]:
    """The content of each take's file, the same for every speaker."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for which, (emotion, _, number) in enumerate(takes()):
        tempo = {"neutral": 4.0, "happy": 4.4, "angry": 4.2, "sad": 3.7}[emotion]
        audio = speak(number, tempo=tempo, pitch_hz=110 + 5 * which, lead_s=0.05)
        loud = audio.repeat(AUDIO_HZ // RATE_HZ)
        n = max(FRAMES, round(FPS * len(audio) / RATE_HZ))
        images = [rgb(drawn(jaw=0.4 * ((i + number) % 4) / 3, frame=i)) for i in range(n)]
        path = write_media(folder / f"{emotion}-{number}.mp4", images, fps=FPS, audio=loud)
        found[emotion, number] = path.read_bytes()
    return found


def place(root: Path, base: dict[tuple[str, int], bytes], n_takes: int) -> int:
    """Write the corpus of so many takes; how many there are. Files that lie there stay."""
    made = 0
    for speaker in range(n_takes // PER_SPEAKER):
        for emotion, level, number in takes():
            name = f"M{speaker + 1:03}"
            path = root / name / "video" / "front" / emotion / f"level_{level}" / f"{number:03}.mp4"
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(base[emotion, number] + mark(name))
            made += 1
    return made


def mark(name: str) -> bytes:
    """A box that players skip: it makes a file another file."""
    content = name.encode().ljust(16)
    return (8 + len(content)).to_bytes(4, "big") + b"free" + content


def write_params(path: Path, root: str, origin: Path = HERE, min_pairs: int = 2) -> None:
    """The repository's parameters, for the made corpus alone."""
    yaml = YAML()
    values = yaml.load((origin / "params.yaml").read_text(encoding="utf-8"))
    select: dict[str, list[str]] = {n: [] for n in ("speakers", "emotions", "levels", "views")}
    entry = {"corpus": "mead", "root": root, "select": select, "split": "by_speaker"}
    values["datasets"] = {"growth": entry}
    values["align"]["min_pairs"] = min_pairs
    values["align"]["max_score_named"] = 9.0
    for stage, n in _FEW.items():
        values[stage]["frames_per_take"] = n
    values["synth"]["tries"] = 1
    with path.open("w", encoding="utf-8") as stream:
        yaml.dump(values, stream)


# ---------------------------------------------------------------- commands


def command(arguments: list[str], cwd: Path) -> Cost:
    """Run a command and wait for it, its children's costs counted.

    Raises
    ------
    SystemExit
        Where it fails, with what it said.
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(cwd), "DVC_NO_ANALYTICS": "1"}
    began_s = time.perf_counter()
    log = cwd / ".growth.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(arguments, cwd=cwd, stdout=stream, stderr=stream, env=env)
        peaks: dict[int, float] = {}
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            look(process.pid, peaks)
            time.sleep(_LOOK_EVERY_S)
    _, status, usage = ended
    said = log.read_text(encoding="utf-8", errors="replace")
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{said[-3000:]}")
    wall_s = time.perf_counter() - began_s
    main_mb = peaks.pop(process.pid, 0.0)
    worker_mb = max(peaks.values(), default=0.0)
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, main_mb, worker_mb, said)


def look(process: int, peaks: dict[int, float]) -> None:
    """Note the most memory that a process and those below it have held, in MB.

    Not what `wait4` tells: that counts the memory of this process, of which they were forked.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        return
    found = re.search(r"VmHWM:\s+(\d+)", status)
    if found:  # one that ended and was not waited for has none
        peaks[process] = max(int(found[1]) * 1024 / 1e6, peaks.get(process, 0.0))
    for child in children_of(process):
        look(child, peaks)


def spfem(stage: str, cwd: Path) -> Cost:
    """One stage of the made corpus, as its own command."""
    main = [sys.executable, "-m", "cli.main"]
    return command([*main, stage, "--dataset", "growth", "--no-lock", "--workers", "2"], cwd)


def copy_repository(folder: Path, origin: Path = HERE) -> None:
    """What a project needs, without data, git and DVC."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _COPIED:
        source, target = origin / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)


# ---------------------------------------------------------------- growth


def grow(work: Path, n_takes: int, base: dict[tuple[str, int], bytes]) -> dict[str, Cost]:
    """All stages, freshly, on a corpus of so many takes."""
    folder = work / str(n_takes)
    shutil.rmtree(folder / "data", ignore_errors=True)
    copy_repository(folder, work / "tree")
    made = place(folder / "corpus", base, n_takes)
    assert made == n_takes, f"{n_takes} is no multiple of {PER_SPEAKER}"
    write_params(folder / "params.yaml", "corpus", work / "tree")
    found = {}
    for stage in STAGES_HERE:
        found[stage] = spfem(stage, folder)
        cost = found[stage]
        print(
            f"  {n_takes:>5} {stage:<10} {cost.wall_s:8.1f} s {cost.cpu_s:8.1f} cpu s "
            f"{cost.main_mb:6.0f} MB, workers {cost.worker_mb:5.0f} MB",
            flush=True,
        )
    return found


def slope(few: tuple[int, float], many: tuple[int, float]) -> float:
    """The exponent of growth between two points (takes, seconds)."""
    return math.log(many[1] / few[1]) / math.log(many[0] / few[0])


def show(found: dict[int, dict[str, Cost]]) -> None:
    """One line a stage: processor seconds for each size, exponents, memory at both ends."""
    sizes = sorted(found)
    head = "".join(f"{n:>10}" for n in sizes)
    print("\nprocessor seconds; MB at the smallest and the largest size")
    print(f"{'takes':<11}{head}   exponent  last step   own process       a worker")
    for stage in STAGES_HERE:
        costs = [found[n][stage] for n in sizes]
        points = [(n, cost.cpu_s) for n, cost in zip(sizes, costs, strict=True)]
        cells = "".join(f"{cost.cpu_s:>10.1f}" for cost in costs)
        whole = slope(points[0], points[-1]) if len(sizes) > 1 else math.nan
        last = slope(points[-2], points[-1]) if len(sizes) > 1 else math.nan
        memory = " ".join(
            f"{mb:7.0f}"
            for mb in (costs[0].main_mb, costs[-1].main_mb, costs[0].worker_mb, costs[-1].worker_mb)
        )
        print(f"{stage:<11}{cells} {whole:>10.2f} {last:>10.2f}   {memory}")


# ---------------------------------------------------------------- DVC


def git(folder: Path, *arguments: str) -> None:
    """A git command in a folder."""
    own = ["-c", "user.name=growth", "-c", "user.email=growth@localhost"]
    subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True)


def start_dvc(folder: Path) -> None:
    """A git and a DVC of its own, once, with the repository's settings."""
    if not (folder / ".dvc").is_dir():
        (folder / ".gitignore").write_text("/data\n/corpus\n.growth.log\n__pycache__/\n")
        git(folder, "init", "-q")
        command([sys.executable, "-m", "dvc", "init", "-q"], folder)
        shutil.copy(HERE / ".dvc" / "config", folder / ".dvc" / "config")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "start")


def repro(folder: Path) -> Cost:
    """`dvc repro` of the whole way of the made corpus."""
    return command([sys.executable, "-m", "dvc", "repro", "report@growth"], folder)


def told(said: str) -> list[str]:
    """The stages' own counts out of what a `dvc repro` said, and the stages that it skipped."""
    lines = []
    for line in said.splitlines():
        if re.match(r"\w+ growth: \d+ .* planned", line):
            lines.append(line)
        elif lines and (units := re.match(r"\s+units\s+(.*)", line)):
            lines[-1] += f"; {units[1]}"
    skipped = re.findall(r"Stage '(\w+)@growth' didn't change", said)
    return [*lines, f"not started: {', '.join(skipped) or 'none'}"]


def dvc(work: Path, n_takes: int, base: dict[tuple[str, int], bytes]) -> None:
    """Seal what lies there, repeat it, add a take, and compare the lock with a fresh one's."""
    folder = work / str(n_takes)
    start_dvc(folder)
    print(f"\nDVC at {n_takes} takes")
    for name in ("first (seals what was done)", "nothing to do", "nothing to do, again"):
        cost = repro(folder)
        print(f"  {name}: {cost.wall_s:.1f} s ({cost.cpu_s:.1f} cpu s)")
    extra = folder / "corpus" / "M001" / "video" / "front" / "happy" / "level_3" / "005.mp4"
    extra.write_bytes(base["happy", 4] + mark("extra"))
    cost = repro(folder)
    print(f"  one take added: {cost.wall_s:.1f} s ({cost.cpu_s:.1f} cpu s)")
    for line in told(cost.said):
        print(f"    {line}")
    lock = (folder / "dvc.lock").read_bytes()
    (work / f"lock-{n_takes}-incremental").write_bytes(lock)
    for min_pairs in (3, 2):
        write_params(folder / "params.yaml", "corpus", work / "tree", min_pairs)
        cost = repro(folder)
        print(f"  align.min_pairs {min_pairs}: {cost.wall_s:.1f} s ({cost.cpu_s:.1f} cpu s)")
        for line in told(cost.said):
            print(f"    {line}")
    same = (folder / "dvc.lock").read_bytes() == lock
    print(f"  the lock afterwards is {'what it was' if same else 'ANOTHER'}")
    cost = repro(folder)
    print(f"  nothing to do: {cost.wall_s:.1f} s")


def fresh_lock(work: Path, n_takes: int) -> None:
    """The same corpus from nothing, with no memory of the first: is its lock the same?"""
    first, other = work / str(n_takes), work / f"{n_takes}-fresh"
    shutil.rmtree(other, ignore_errors=True)
    copy_repository(other, work / "tree")
    shutil.copytree(first / "corpus", other / "corpus")
    shutil.copy(first / "params.yaml", other / "params.yaml")
    start_dvc(other)
    cost = repro(other)
    same = (other / "dvc.lock").read_bytes() == (first / "dvc.lock").read_bytes()
    print(f"  fresh run of the same {n_takes} and one takes: {cost.wall_s:.1f} s")
    print(f"  its lock is {'equal' if same else 'DIFFERENT'}")
    shutil.rmtree(other / "data", ignore_errors=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--takes", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--dvc", action="store_true", help="only DVC, on what lies there")
    parser.add_argument("--fresh", action="store_true", help="with --dvc: also a fresh run's lock")
    given = parser.parse_args()
    base = make_base(given.work / "base")
    if given.dvc:
        for n in given.takes:
            dvc(given.work, n, base)
            if given.fresh:
                fresh_lock(given.work, n)
        return
    copy_repository(given.work / "tree")
    found = {n: grow(given.work, n, base) for n in given.takes}
    told_costs = {n: {s: vars(c) for s, c in costs.items()} for n, costs in found.items()}
    (given.work / "growth.json").write_text(json.dumps(told_costs))
    show(found)


if __name__ == "__main__":
    main()
