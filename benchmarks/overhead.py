"""What a stage costs beside its units, against takes: reading receipts, tables, DVC.

A unit's cost cannot depend on how many others there are: its worker sees its payload alone. What
could grow faster than the takes is the rest: listing, keys, receipts, tables, decisions over the
whole dataset. Here a small corpus that `benchmarks.growth` has run is grown by copying speakers
(files linked, names replaced, keys as the stages' own plans give them), and every stage runs with
nothing left for its workers. Processor seconds of this one process, the best of some rounds; then
DVC on the largest: sealed once, and `dvc repro` with nothing to do.

    python -m benchmarks.growth --work /tmp/growth --takes 100
    python -m benchmarks.overhead --work /tmp/growth --from-takes 100 --takes 100 500 2000 --dvc
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.growth import (
    PER_SPEAKER,
    copy_repository,
    make_base,
    place,
    start_dvc,
    write_params,
)
from pipeline import params
from pipeline.digests import sha256_of
from pipeline.runtime.costs import peak_memory_mb
from pipeline.runtime.run import Options, Run
from pipeline.runtime.store import RECEIPT, ItemStore
from pipeline.runtime.tables import read_table, write_table
from pipeline.runtime.units import Unit
from pipeline.stages import STAGES, module_of
from pipeline.tools.plan.dataset_plan import make_plan

CLONED = ("extract", "align", "pose", "score")
SHOWN = (*CLONED, "filter")
DATASET = "growth"


def clone(run: Run, stage: str, origin: ItemStore, n_origin: int) -> None:
    """Give every unit of a stage the outputs and the receipt of its like in the small corpus."""
    store = run.items(stage)
    for unit in importlib.import_module(module_of(stage)).plan(run).units:
        speaker = unit.name.split("/")[0]
        source = f"M{(int(speaker[1:]) - 1) % n_origin + 1:03}"
        if source == speaker and store.current(unit.name, unit.key):
            continue
        _clone_unit(store, origin, unit, source, speaker)


def _clone_unit(store: ItemStore, origin: ItemStore, unit: Unit, source: str, speaker: str) -> None:
    name = unit.name.replace(speaker, source)
    receipt = json.loads(origin.path(name, RECEIPT).read_text().replace(source, speaker))
    for suffix, output in receipt["outputs"].items():
        target = store.path(unit.name, suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if suffix == ".poses.parquet":
            _renamed(origin.path(name, suffix), target, source, speaker)
            output |= {"bytes": target.stat().st_size, "sha256": sha256_of(target)}
        else:
            os.link(origin.path(name, suffix), target)
    path = store.path(unit.name, RECEIPT)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**receipt, "key": unit.key}))


def _renamed(path: Path, target: Path, source: str, speaker: str) -> None:
    table = read_table(path)
    names = pc.replace_substring(table["pair_id"], source, speaker)
    index = table.schema.get_field_index("pair_id")
    write_table(target, table.set_column(index, "pair_id", names.cast(pa.string())))


def grown(work: Path, n_origin: int, n_takes: int, base: dict[tuple[str, int], bytes]) -> Run:
    """A corpus of so many takes on which every cloned stage has run."""
    folder = work / f"cloned-{n_takes}"
    place(folder / "corpus", base, n_takes)
    write_params(folder / "params.yaml", "corpus")
    os.chdir(folder)
    run = Run(DATASET, params.load(Path("params.yaml")), Path("data"), Options("serial", 1))
    rule = run.params.split_rule(DATASET).model_copy(
        update={"assign": {}, "validation": 0.0, "test": 0.0}
    )
    run = replace(run, params=run.params.model_copy(update={"splits": {run.entry.split: rule}}))
    origin = replace(run, data=work / str(n_origin) / "data")
    for stage in CLONED:
        clone(run, stage, origin.items(stage), n_origin // PER_SPEAKER)
        importlib.import_module(module_of(stage)).run(run)
    importlib.import_module("pipeline.stages.filter.stage").run(run)
    return run


def measure(run: Run, rounds: int) -> dict[str, float]:
    """Processor seconds of each stage with nothing to do, and of planning them all."""
    found = {}
    for stage in SHOWN:
        module = importlib.import_module(module_of(stage))
        times = []
        for _ in range(rounds):
            began_s = time.process_time()
            summary = module.run(run)
            times.append(time.process_time() - began_s)
            assert summary.done == 0, f"{stage}: {summary.done} redone"
        found[stage] = min(times)
    began_s = time.process_time()
    make_plan(run, STAGES[: STAGES.index("filter") + 1])
    found["plan"] = time.process_time() - began_s
    return found


def show(found: dict[int, dict[str, float]], memory: dict[int, float]) -> None:
    """Seconds for each size and the exponents."""
    sizes = sorted(found)
    print("processor seconds beside the units, nothing to do")
    print(f"{'takes':<9}" + "".join(f"{n:>9}" for n in sizes) + "   exponent  last step")
    for name in (*SHOWN, "plan"):
        values = [found[n][name] for n in sizes]
        ends = [(0, -1), (-2, -1)] if len(sizes) > 1 else []
        slopes = [math.log(values[b] / values[a]) / math.log(sizes[b] / sizes[a]) for a, b in ends]
        print(
            f"{name:<9}" + "".join(f"{v:>9.2f}" for v in values)
            + "".join(f"{slope:>11.2f}" for slope in slopes)
        )  # fmt: skip
    print("MB       " + "".join(f"{memory[n]:>9.0f}" for n in sizes))


def no_op(work: Path, n_takes: int) -> None:
    """Seal the cloned stages with DVC, then repeat: what DVC itself costs at this many takes."""
    folder = work / f"cloned-{n_takes}"
    copy_repository(folder)
    start_dvc(folder)
    env = {
        **os.environ,
        "DVC_NO_ANALYTICS": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    targets = [f"{stage}@{DATASET}" for stage in SHOWN]
    for title, arguments in (
        ("sealed", ["commit", "--force", "--quiet", *targets]),
        ("nothing to do", ["repro", f"filter@{DATASET}"]),
        ("nothing to do", ["repro", f"filter@{DATASET}"]),
    ):
        before = os.times()
        began_s = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments], cwd=folder, env=env, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        after = os.times()
        cpu_s = sum(after[2:4]) - sum(before[2:4])
        said = (done.stdout + done.stderr).strip().splitlines()[-1:] or ["-"]
        wall_s = time.perf_counter() - began_s
        print(f"dvc {title}: {wall_s:.1f} s, {cpu_s:.1f} cpu s ({said[0][:80]})", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--from-takes", type=int, required=True)
    parser.add_argument("--takes", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many counts")
    parser.add_argument("--dvc", action="store_true")
    given = parser.parse_args()
    work = given.work.resolve()
    base: Any = make_base(work / "base")
    found, memory = {}, {}
    for n in sorted(given.takes):
        shutil.rmtree(work / f"cloned-{n}", ignore_errors=True)
        found[n] = measure(grown(work, given.from_takes, n, base), given.rounds)
        memory[n] = peak_memory_mb()
        print(n, {k: round(v, 2) for k, v in found[n].items()}, flush=True)
    show(found, memory)
    if given.dvc:
        no_op(work, max(given.takes))


if __name__ == "__main__":
    main()
