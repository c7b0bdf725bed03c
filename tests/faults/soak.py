"""Run for a long time on many takes, and show that memory and open files stay constant.

`python -m tests.faults.soak --minutes 30 --times 10` cuts every take of the demo's MEAD speakers to
its first 1.2 seconds, so that all stages come round several times, and lays them ten times over
(other speakers' names, hard links): ten times the demo's takes. Then every stage runs on them,
redoing all, again and again until the time is up. Every few seconds the resident memory and the
open files of the run and of each of its workers are read; what counts is whether they grow while
the same work is done: from the second pass to the last, stage by stage. With `--reuse` all passes
but the first find everything done: many more of them, to see what the run's own process keeps.
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
from pathlib import Path

from pipeline import corpora, params
from pipeline.records import Source
from pipeline.stages import STAGES, module_of
from tests.builders.digests import digests
from tests.builders.process_growth import RUN, ProcessHistory, Sample, children_of, grew, lines
from tests.builders.seed_takes import ffmpeg
from tests.builders.small_run import Small, fewer, run_command, touched, write_params

_EVERY_S = 2.0
_SECONDS = 1.2
"""Of a take."""


def shorten(corpus: Path, target: Path, seconds: float) -> int:
    """The takes of a MEAD as a folder tree, each cut after so long; how many there are.

    What cannot be cut stays as it is.
    """
    root = corpus / "mead"
    select = params.Select(speakers=[], emotions=[], levels=[], views=[])
    entry = params.Dataset(corpus="mead", root=str(root), select=select, split="by_speaker")
    takes = corpora.list_takes("soak", entry, root).takes
    for take in takes:
        level = f"{take.emotion}/level_{take.level}/{take.take}"
        for source, place in ((take.video, f"video/{take.view}"), (take.audio, "audio")):
            if source is not None:
                suffix = Path(source.member or source.path).suffix
                _cut(root, source, target / "mead" / take.speaker / place / f"{level}{suffix}",
                     seconds)  # fmt: skip
    return len(takes)


def _cut(root: Path, source: Source, target: Path, seconds: float) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    whole = target.with_suffix(f".whole{target.suffix}")
    with corpora.open_source(root, source, 1 << 30) as opened:
        whole.write_bytes(Path(opened).read_bytes() if isinstance(opened, str) else opened.read())
    try:
        ffmpeg("-t", str(seconds), "-i", whole, "-c", "copy", target)
        whole.unlink()
    except subprocess.CalledProcessError:  # the demo holds a damaged take, which stays one
        whole.replace(target)


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
    n = shorten(corpus, folder / "short", _SECONDS)
    times_over(folder / "short", sources, times)
    print(f"{n} takes of {_SECONDS} s, {times} times over", flush=True)
    entry = base.dataset("demo").model_copy(update={"corpus": "mead", "root": str(sources)})
    rules = {entry.split: base.splits[entry.split].model_copy(update={"assign": {}})}
    changes = {"datasets": {"soak": entry}, "splits": rules}
    values = base.model_copy(update=changes | fewer(base))
    write_params(folder / "params.yaml", values)
    return Small(folder / "params.yaml", folder / "data", "soak", sources, STAGES[1:])


def drive(small: Small, mark: Path, *, reuse: bool) -> None:
    """Run the pipeline repeatedly in this process, redoing all or nothing; SIGTERM ends it."""
    import importlib

    from pipeline.runtime.run import Options, Run

    values = params.load(small.params)
    modules = {name: importlib.import_module(module_of(name)) for name in small.stages}
    number = 0
    while True:
        for name, module in modules.items():
            mark.write_text(f"{number} {name}", encoding="utf-8")
            options = Options(workers=2, force=not reuse)
            module.run(Run(small.dataset, values, small.data, options))
        number += 1


def watch(process: subprocess.Popen[bytes], mark: Path, minutes: float) -> list[ProcessHistory]:
    """Sample at the run and its workers until the time is up or it ends."""
    histories: dict[int, ProcessHistory] = {}
    began = time.monotonic()
    while process.poll() is None and time.monotonic() - began < 60 * minutes:
        number, _, stage = (mark.read_text("utf-8") if mark.exists() else "0 start").partition(" ")
        for pid in (process.pid, *filter(_is_worker, children_of(process.pid))):
            seen = _look(pid)
            if seen is not None:
                history = histories.setdefault(
                    pid, ProcessHistory(RUN if pid == process.pid else "worker")
                )
                passed = time.monotonic() - began
                history.samples.append(Sample(passed, int(number or 0), stage or "start", *seen))
        time.sleep(_EVERY_S)
    return list(histories.values())


def _is_worker(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _look(pid: int) -> tuple[int, int] | None:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(f"/proc/{pid}/fd"))
    except (FileNotFoundError, ProcessLookupError):
        return None


def main() -> None:
    """Soak, and print the figures."""
    if sys.argv[1:2] == ["--drive"]:
        path, data, dataset, sources, way, where, reuse = sys.argv[2:]
        told_way = tuple(way.split(","))
        drive(Small(Path(path), Path(data), dataset, Path(sources), told_way), Path(where),
              reuse=reuse == "reuse")  # fmt: skip
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--reuse", action="store_true", help="redo nothing after the first pass")
    parser.add_argument("--corpus", type=Path, help="a demo corpus that is there; else it is made")
    parser.add_argument("--folder", type=Path, help="where to work; else a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        small = set_up(folder, arguments.corpus, arguments.times)
        before = digests(small.sources)
        print(
            f"{len(before)} source files, {arguments.times} times the demo's MEAD speakers",
            flush=True,
        )
        mark = folder / "mark"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.soak", "--drive", str(small.params),
             str(small.data), small.dataset, str(small.sources), ",".join(small.stages), str(mark),
             "reuse" if arguments.reuse else "redo"]
        )  # fmt: skip
        histories = watch(process, mark, arguments.minutes)
        ended = process.poll()
        process.send_signal(signal.SIGTERM)
        process.wait()
        reached = mark.read_text(encoding="utf-8") if mark.exists() else "the start"
        lost = touched(small, before)
    print("\n".join((*lines(histories), *grew(histories))))
    print(f"passes done and stage reached: {reached}; source files touched: {len(lost)}")
    if ended is not None:
        print(f"the run ended by itself with {ended}")
    sys.exit(bool(lost or grew(histories)) or ended is not None)


if __name__ == "__main__":
    main()
