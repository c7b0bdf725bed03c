"""Peak memory of every stage's largest worker against the length of a take.

Two takes of the demo corpus that say the same are looped to each length, without encoding them
again, and go the whole way on one worker. A stage's figure is the largest resident memory of its
worker as the run measured it; what a worker holds before its first item (libraries, weights) is in
it. Beyond `align.max_duration_s` no pair is made, so pose and the pairs of shards hold nothing.

    python -m benchmarks.memory --corpus data/demo/corpus --lengths 10 60 300
"""

from __future__ import annotations

import argparse
import csv
import importlib
import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg

from pipeline import params
from pipeline.runtime.run import Options, Run
from pipeline.stages import STAGES, module_of

WAY = STAGES[1:]
_TAKES = {"neutral": "01-01-01-01-01-01-25.mp4", "happy": "01-01-03-02-01-01-25.mp4"}


def main() -> None:
    """Print a row a stage, a column a length."""
    arguments = _arguments()
    found: dict[str, list[str]] = {stage: [] for stage in WAY}
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        for length_s in arguments.lengths:
            run = _run(arguments.corpus, Path(scratch, f"{length_s:g}"), length_s, arguments)
            for stage in WAY:
                summary = importlib.import_module(module_of(stage)).run(run)
                known = run.rates().known(stage)
                peak = f"{known[-1].memory_mb:.0f}" if known and known[-1].done else "-"
                found[stage].append(f"{peak} ({summary.kept}/{summary.planned})")
                print(f"{length_s:g} s {stage}: {found[stage][-1]}", flush=True)
    print(f"\nMB, {'stage':<11}" + "".join(f"{f'{s:g} s':>16}" for s in arguments.lengths))
    for stage, row in found.items():
        print(f"    {stage:<11}" + "".join(f"{cell:>16}" for cell in row))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=Path("data/demo/corpus"))
    parser.add_argument("--lengths", type=float, nargs="+", default=[10.0, 60.0, 300.0])
    parser.add_argument("--max-duration-s", type=float, help="of align; else as params.yaml says")
    parser.add_argument("--scratch", type=Path, help="a folder for the runs; else the system's")
    return parser.parse_args()


def _run(corpus: Path, folder: Path, length_s: float, arguments: argparse.Namespace) -> Run:
    folder.mkdir(parents=True)
    with (folder / "takes.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["path", "speaker", "emotion", "sentence"])
        for emotion, name in _TAKES.items():
            _loop(corpus / "ravdess" / "Actor_25" / name, folder / f"{emotion}.mp4", length_s)
            rows.writerow([f"{emotion}.mp4", "s1", emotion, "kids"])
    base = params.load(None)
    entry = base.dataset("demo").model_copy(
        update={"corpus": "custom", "root": str(folder / "takes.csv")}
    )
    changes: dict[str, object] = {"datasets": {"long": entry}}
    if arguments.max_duration_s is not None:
        longest = {"max_duration_s": arguments.max_duration_s}
        changes["align"] = base.align.model_copy(update=longest)
    return Run("long", base.model_copy(update=changes), folder / "data", Options(workers=1))


def _loop(source: Path, target: Path, length_s: float) -> None:
    """The take over and over, its packets as they are."""
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "-1", "-i", str(source),
        "-t", f"{length_s:g}", "-c", "copy", str(target),
    ]  # fmt: skip
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
