"""Ray on two nodes of this machine, one taken away in the middle, beside a serial run.

A part of the demo corpus goes the whole way three times: serially, on Ray, and in three `--shard`
parts followed by a run without. On Ray, one of the two nodes is killed in every stage once some of
the stage's items are done, and a new one joins before the next stage. Every output is compared
byte for byte with the serial run's.

    pip install ray          # the extra ray
    python -m benchmarks.nodes --corpus data/demo/corpus --speakers M901
    python -m benchmarks.nodes --cases shards      # without Ray
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import params
from pipeline.errors import PartDone
from pipeline.runtime.run import Options, Run
from pipeline.stages import STAGES, module_of
from tests.builders.digests import digests

WAY = STAGES[1:]
_PARTS = 3


@dataclass(frozen=True)
class Row:
    """What one stage did in one case, beside what the serial run did."""

    case: str
    stage: str
    items: int
    done: int
    seconds: float
    different: int
    note: str


def main() -> int:
    """Run the cases and print their table; 1 when an output differs."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        base = part(arguments.corpus, arguments.speakers, arguments.emotions)
        serial = Run("demo", base, Path(scratch, "serial"), Options("serial"))
        rows = [_row("serial", stage, serial, serial) for stage in WAY]
        for case in arguments.cases:
            rows += CASES[case](base, Path(scratch), serial)
    _show(rows)
    return int(any(row.different for row in rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=Path("data/demo/corpus"))
    parser.add_argument("--speakers", nargs="+", default=["M901"])
    parser.add_argument("--emotions", nargs="*", default=[], help="none: all")
    parser.add_argument("--cases", nargs="+", choices=sorted(CASES), default=sorted(CASES))
    parser.add_argument("--scratch", type=Path, help="a folder for the runs; else the system's")
    return parser.parse_args()


def part(corpus: Path, speakers: list[str], emotions: list[str]) -> params.Params:
    """The demo's parameters on a part of a corpus that is there."""
    base = params.load(None)
    entry = base.dataset("demo")
    select = entry.select.model_copy(update={"speakers": speakers, "emotions": emotions})
    entry = entry.model_copy(update={"root": str(corpus.resolve()), "select": select})
    return base.model_copy(update={"datasets": {"demo": entry}})


def _row(case: str, stage: str, run: Run, serial: Run, note: str = "") -> Row:
    """Run a stage; how many of its files differ from the serial run's."""
    began = time.monotonic()
    summary = importlib.import_module(module_of(stage)).run(run)
    seconds = time.monotonic() - began
    items = summary.done + summary.reused
    return Row(case, stage, items, summary.done, seconds, _different(run, serial, stage), note)


def _different(run: Run, serial: Run, stage: str) -> int:
    found, wanted = (digests(one.folder(stage)) for one in (run, serial))
    return sum(found.get(name) != wanted.get(name) for name in found.keys() | wanted.keys())


def in_parts(base: params.Params, scratch: Path, serial: Run) -> list[Row]:
    """`--shard 1/3`, `2/3`, `3/3`, then without: the last does nothing anew."""
    rows = []
    run = Run("demo", base, scratch / "shards", Options("processes", 2))
    for stage in WAY:
        for nth in range(1, _PARTS + 1):
            options = replace(run.options, shard=(nth, _PARTS))
            began, before = time.monotonic(), len(run.items(stage).units())
            try:
                row = _row(f"shard {nth}/{_PARTS}", stage, replace(run, options=options), serial)
                rows.append(row)
            except PartDone as told:
                seconds = time.monotonic() - began
                items, done = (len(one.items(stage).units()) for one in (serial, run))
                note = str(told).split(";")[0]
                rows.append(
                    Row(f"shard {nth}/{_PARTS}", stage, items, done - before, seconds, 0, note)
                )
        rows.append(_row("after shards", stage, run, serial))
    return rows


def on_ray(base: params.Params, scratch: Path, serial: Run) -> list[Row]:
    """Two nodes; in each stage the second is killed once a part of the items is done."""
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    ray.init(address=cluster.address, log_to_driver=False)
    run = Run("demo", base, scratch / "ray", Options("ray", 2))
    rows = []
    try:
        for stage in WAY:
            node = cluster.add_node(num_cpus=1)
            cluster.wait_for_nodes()
            removal = _Removal(run, stage, serial, partial(cluster.remove_node, node, False))
            with removal:
                row = _row("ray", stage, run, serial)
            rows.append(replace(row, note=removal.told))
            if node in cluster.worker_nodes:
                cluster.remove_node(node)
    finally:
        ray.shutdown()
        cluster.shutdown()
    return rows


class _Removal:
    """Watches a stage's items from a thread and calls `remove` when a third is done."""

    def __init__(self, run: Run, stage: str, serial: Run, remove: Callable[[], Any]) -> None:
        self._store, self._remove = run.items(stage), remove
        self._wanted = max(1, len(serial.items(stage).units()) // 3)
        self.told = "no node killed: nothing to do"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            if (done := len(self._store.units())) >= self._wanted:
                self.told = f"node killed after {done} items"
                self._remove()
                return


CASES: dict[str, Callable[[params.Params, Path, Run], list[Row]]] = {
    "ray": on_ray,
    "shards": in_parts,
}


def _show(rows: list[Row]) -> None:
    print("case          stage       items  done  seconds  files that differ")
    for row in rows:
        print(
            f"{row.case:<13} {row.stage:<11} {row.items:>5} {row.done:>5} {row.seconds:>8.1f} "
            f"{row.different:>5}  {row.note}"
        )


if __name__ == "__main__":
    sys.exit(main())
