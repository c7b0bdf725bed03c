"""What plan says beside what then happens: counts, disk and seconds, on a made corpus.

On a copy of a corpus in MEAD's or RAVDESS's layout (the demo's by default), in turn: a fresh run,
one take more, another parameter of align, one take less. Before each, `plan --json`; then every
stage as its own command. Counts are of units; disk is of the stages' folders afterwards; seconds
are of all stages that had anything to do, as their commands print them.

    spfem-data demo                       # once, if there is no demo corpus yet
    python -m benchmarks.plan --corpus data/demo/corpus --work /tmp/plan
    python -m benchmarks.plan ... --rates # at the end, this machine's rates for planning/shipped.py
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.planning.rating import machine_s, rate_of
from pipeline.run import Run
from pipeline.stages import STAGES

HERE = Path(__file__).resolve().parent.parent
WAY = STAGES[1:]
DATASET = "planned"


def spfem(work: Path, *arguments: str) -> Any:
    """A command's JSON.

    Raises
    ------
    SystemExit
        Where it fails, with what it said.
    """
    given = [*arguments, "--dataset", DATASET, "--data", str(work / "data"), "--json"]
    given += ["--params", str(work / "params.yaml")]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *given], cwd=HERE, capture_output=True, text=True,
        env={**os.environ, "PATH": path}, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def write_params(work: Path, speakers: list[str], **align: Any) -> None:
    """The repository's parameters, for the copied corpus, with changes of align."""
    yaml = YAML()
    values = yaml.load((HERE / "params.yaml").read_text(encoding="utf-8"))
    select: dict[str, list[str]] = {n: [] for n in ("speakers", "emotions", "levels", "views")}
    select["speakers"] = speakers
    root = str(work / "corpus")
    entry = {"corpus": "demo", "root": root, "select": select, "split": "by_sentence"}
    values["datasets"] = {DATASET: entry}
    values["align"].update(align)
    with (work / "params.yaml").open("w", encoding="utf-8") as stream:
        yaml.dump(values, stream)


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def compare(work: Path, title: str) -> None:
    """Plan, run, and print both."""
    told = spfem(work, "plan")
    print(f"\n{title}: planned | done (redone, reused, removed; MB; s)")
    planned_s = done_s = 0.0
    disk = [0, 0]
    for stage in WAY:
        plan = told["stages"][stage]
        done = spfem(work, stage, "--no-lock")
        counts = [len(plan["run"]), len(plan["reused"]), len(plan["removed"])]
        real = [done["done"], done["reused"], done["removed"]]
        size = size_of(work / "data" / DATASET / stage)
        price, sure = plan["price"], plan["certainty"]
        if price is None:
            print(f"  {stage:<11} not told | {real} {size / 1e6:.2f} MB {done['seconds']:.1f} s")
            continue
        is_open = bool(plan["run"] or plan["removed"])
        if is_open or real[0] or real[2]:
            planned_s += price["seconds"] if is_open else 0.0
            done_s += done["seconds"]
        disk = [disk[0] + price["disk_bytes"], disk[1] + size]
        mark = "" if counts == real else "  COUNTS DIFFER"
        print(
            f"  {stage:<11} {counts} {price['disk_bytes'] / 1e6:.2f} MB "
            f"{price['seconds'] if is_open else 0:.1f} s | {real} {size / 1e6:.2f} MB "
            f"{done['seconds']:.1f} s  {sure}{mark}",
            flush=True,
        )
    print(
        f"  all: {disk[0] / 1e6:.1f} MB | {disk[1] / 1e6:.1f} MB ({disk[0] / disk[1] - 1:+.1%}); "
        f"{planned_s:.1f} s | {done_s:.1f} s ({planned_s / max(done_s, 1e-9):.2f} times)"
    )


def rates(work: Path) -> None:
    """The rates of this machine as planning/shipped.py holds them."""
    from pipeline import params

    run = Run(DATASET, params.load(work / "params.yaml"), work / "data")
    print(f"\nMACHINE_S = {machine_s():.4f}")
    for stage in WAY:
        rate = rate_of(run, stage)
        values = (
            rate.unit_s, rate.warm_s, rate.spawn_s, rate.rest_s, rate.unit_bytes, rate.beside_bytes,
            rate.memory_mb,
        )  # fmt: skip
        told = ", ".join(f"{value:.4g}" for value in values)
        print(f'    "{stage}": Costs({told}),  # {rate.source}')


def scenes(work: Path, speakers: list[str], victim: Path) -> dict[str, Callable[[], Any]]:
    """What is done to the corpus or its parameters before each comparison."""
    aside = work / f"aside{victim.suffix}"
    return {
        "fresh, one take short": lambda: shutil.move(victim, aside),
        "nothing to do": lambda: None,
        "one take more": lambda: shutil.move(aside, victim),
        "align.min_pairs 9 for 8": lambda: write_params(work, speakers, min_pairs=9),
        "one take less": lambda: shutil.move(victim, aside),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="the demo's corpus folder")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--take", default="mead/M901/video/front/happy/level_3/*.mp4")
    parser.add_argument("--speakers", nargs="*", default=[], help="only these, for a shorter run")
    parser.add_argument("--rates", action="store_true")
    given = parser.parse_args()
    shutil.rmtree(given.work, ignore_errors=True)
    shutil.copytree(given.corpus, given.work / "corpus")
    write_params(given.work, given.speakers)
    victim = sorted((given.work / "corpus").glob(given.take))[0]
    for title, change in scenes(given.work, given.speakers, victim).items():
        change()
        compare(given.work, title)
    if given.rates:
        rates(given.work)


if __name__ == "__main__":
    main()
