"""What plan says beside what then happens: counts, disk and seconds, on a made corpus.

On a copy of a corpus in MEAD's or RAVDESS's layout (the demo's by default), in turn: a fresh run,
one take more, thresholds of align that hold back nothing and the shortest pair, another parameter
of align, one take less. Before each, `plan --json`; then every
stage as its own command. Counts are of units; disk is of the stages' folders afterwards; seconds
are of all stages that had anything to do, as their commands print them; with --cpu both are by
`benchmarks.cpu_clock`, for machines that do other work as well.

    spfem-data demo                       # once, if there is no demo corpus yet
    python -m benchmarks.plan --corpus data/demo/corpus --work /tmp/plan [--cpu]
    python -m benchmarks.plan ... --rates # a fresh run, and this machine's rates for shipped.py
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.records import Pair
from pipeline.runtime.run import Run
from pipeline.runtime.store import RECEIPT, ItemStore
from pipeline.runtime.tables import read_rows
from pipeline.stages import STAGES
from pipeline.tools.plan.forecast import foresee
from pipeline.tools.plan.pricing import beside_each, efforts_of, volumes_of
from pipeline.tools.plan.rating import machine_s, rate_of, size_of

HERE = Path(__file__).resolve().parent.parent
WAY = STAGES[1:]
DATASET = "planned"
_FRESH = "fresh, one take short"


def spfem(work: Path, *arguments: str, program: str = "cli.main") -> Any:
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
        [sys.executable, "-m", program, *given], cwd=HERE, capture_output=True, text=True,
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


@dataclass(frozen=True)
class Row:
    """One stage: counts (redone, reused, removed), bytes and seconds as planned and as done."""

    stage: str
    certainty: str
    planned: tuple[int, int, int]
    done: tuple[int, int, int]
    bytes_planned: float
    bytes_done: int
    s_planned: float
    s_done: float
    s_least: float

    @property
    def is_told(self) -> bool:
        """Whether plan could tell."""
        return self.certainty != "unknown"

    @property
    def is_open(self) -> bool:
        """Whether anything was to be done, or was."""
        return any((self.planned[0], self.planned[2], self.done[0], self.done[2]))

    def line(self) -> str:
        """The row as text."""
        done = f"{list(self.done)!s:<15} {self.bytes_done / 1e6:8.2f} MB {self.s_done:7.1f} s"
        if not self.is_told:
            return f"  {self.stage:<11}{'not told':<38} | {done}"
        off = self.bytes_planned / self.bytes_done - 1 if self.bytes_done else 0.0
        times = f"{self.s_planned / self.s_done:5.2f} times" if self.is_open else "          -"
        most = self.certainty == "at most" and self.planned[0] >= self.done[0]
        mark = "" if self.planned == self.done or most else "  COUNTS DIFFER"
        return (
            f"  {self.stage:<11}{list(self.planned)!s:<15} {self.bytes_planned / 1e6:8.2f} MB "
            f"{self.s_planned:7.1f} s | {done} | {off:+7.1%} {times}  {self.certainty}{mark}"
        )


def compare(work: Path, title: str, program: str) -> list[Row]:
    """Plan, run, and print both."""
    told = spfem(work, "plan", program=program)["stages"]
    print(f"\n{title}: planned | done (redone, reused, removed; MB; s)")
    rows = []
    for stage in WAY:
        before = stamps(work, stage)
        done = spfem(work, stage, "--no-lock", program=program)
        rows.append(_row(work, stage, told[stage], done))
        print(rows[-1].line(), flush=True)
        after = stamps(work, stage)
        redone = {name for name, written in after.items() if before.get(name) != written}
        for line in unforeseen(told[stage], redone):
            print(f"    {line}", flush=True)
    known = [row for row in rows if row.is_told]
    disk = [sum(row.bytes_planned for row in known), sum(row.bytes_done for row in known)]
    busy = [row for row in known if row.is_open]
    spent = [sum(row.s_planned for row in busy), sum(row.s_done for row in busy)]
    least_s = sum(row.s_least for row in busy)
    off, times = disk[0] / disk[1] - 1, spent[0] / max(spent[1], 1e-9)
    told_s = f"{spent[0]:.1f} s" if least_s == spent[0] else f"{least_s:.1f} to {spent[0]:.1f} s"
    print(
        f"  all told: {disk[0] / 1e6:.1f} MB, {told_s} | {disk[1] / 1e6:.1f} MB, "
        f"{spent[1]:.1f} s | {off:+.1%}, {times:.2f} times",
        flush=True,
    )
    return rows


def unforeseen(told: dict[str, Any], redone: set[str]) -> list[str]:
    """Units that were redone and not planned, and, where the plan is exact, the other way round."""
    if told["certainty"] == "unknown":
        return []
    planned = set(told["run"])
    lines = [f"not planned: {name}" for name in sorted(redone - planned)]
    if told["certainty"] == "exact":
        lines += [f"not redone: {name}" for name in sorted(planned - redone)]
    return lines


def stamps(work: Path, stage: str) -> dict[str, int]:
    """When each unit's receipt was written."""
    store = ItemStore(work / "data" / DATASET / stage / "items")
    return {unit: store.path(unit, RECEIPT).stat().st_mtime_ns for unit in store.units()}


def _row(work: Path, stage: str, plan: dict[str, Any], done: dict[str, Any]) -> Row:
    price = plan["price"] or {"disk_bytes": 0, "seconds": 0.0, "least_seconds": 0.0}
    row = Row(
        stage, plan["certainty"],
        (len(plan["run"]), len(plan["reused"]), len(plan["removed"])),
        (done["done"], done["reused"], done["removed"]),
        price["disk_bytes"], size_of(work / "data" / DATASET / stage),
        price["seconds"], done["seconds"], price["least_seconds"],
    )  # fmt: skip
    return row if plan["run"] or plan["removed"] else replace(row, s_planned=0.0, s_least=0.0)


def rates(work: Path) -> None:
    """The rates of this machine as planning/shipped.py holds them."""
    from pipeline import params

    run = Run(DATASET, params.load(work / "params.yaml"), work / "data")
    seen = foresee(run, STAGES)
    print(f"\nMACHINE_S = {machine_s():.4f}")
    for stage in WAY:
        rate, fates = rate_of(run, stage), seen.fates[stage]
        beside = beside_each(
            run, fates, volumes_of(fates, efforts_of(fates, {})), size_of(run.folder(stage))
        )
        values = (
            rate.unit_s, rate.warm_s, rate.spawn_s, rate.rest_s, rate.each_s, rate.unit_bytes,
            beside or 0.0, rate.memory_mb,
        )  # fmt: skip
        told = ", ".join(f"{value:.4g}" for value in values)
        print(f'    "{stage}": Costs({told}),  # {rate.source}')


def scenes(work: Path, speakers: list[str], victim: Path) -> dict[str, Callable[[], Any]]:
    """What is done to the corpus or its parameters before each comparison."""
    aside = work / f"aside{victim.suffix}"

    def strict() -> None:
        pairs = read_rows(work / "data" / DATASET / "align" / "tables" / "pairs.parquet", Pair)
        write_params(work, speakers, min_pairs=min(len(pair.frame_a) for pair in pairs) + 1)

    return {
        _FRESH: lambda: shutil.move(victim, aside),
        "nothing to do": lambda: None,
        "one take more": lambda: shutil.move(aside, victim),
        "align.min_pairs 9 for 8": lambda: write_params(work, speakers, min_pairs=9),
        "align.min_pairs above the shortest pair": strict,
        "align.min_pairs 8 again": lambda: write_params(work, speakers),
        "align.prior_bonus 0.121 for 0.12": lambda: write_params(work, speakers, prior_bonus=0.121),
        "one take less": lambda: shutil.move(victim, aside),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="the demo's corpus folder")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--take", default="mead/M901/video/front/happy/level_3/*.mp4")
    parser.add_argument("--speakers", nargs="*", default=[], help="only these, for a shorter run")
    parser.add_argument("--cpu", action="store_true", help="by seconds of processors")
    parser.add_argument("--rates", action="store_true")
    given = parser.parse_args()
    shutil.rmtree(given.work, ignore_errors=True)
    shutil.copytree(given.corpus, given.work / "corpus")
    write_params(given.work, given.speakers)
    victim = sorted((given.work / "corpus").glob(given.take))[0]
    for title, change in scenes(given.work, given.speakers, victim).items():
        if given.rates and title != _FRESH:
            continue
        change()
        compare(given.work, title, "benchmarks.cpu_clock" if given.cpu else "cli.main")
    if given.rates:
        rates(given.work)


if __name__ == "__main__":
    main()
