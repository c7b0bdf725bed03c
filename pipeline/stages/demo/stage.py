"""demo: generate the demo corpus, talking heads in the layouts of MEAD and RAVDESS, with truth.

The corpus is one unit, because its archives and truth tables need all takes. The takes are rendered
in parallel.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.demo_corpus import make
from pipeline.demo_corpus.make import DemoParams, DemoTake
from pipeline.digests import digest, sha256_of, short_digest
from pipeline.errors import ParameterError, PipelineError
from pipeline.runtime import executor, numerics
from pipeline.runtime.costs import StageCost, UnitCost, peak_memory_mb, stage_cost
from pipeline.runtime.run import Run
from pipeline.runtime.store import Receipt, make_folder
from pipeline.runtime.summaries import Summary, summarise
from pipeline.runtime.units import Batch, Unit, no_setup
from pipeline.stages.demo.worker import make_take

VERSION = 1
_UNIT = "corpus"


@dataclass(frozen=True)
class Planned:
    """The corpus as one unit, its takes, its root, and whether it is complete."""

    units: list[Unit]
    takes: list[DemoTake]
    root: Path
    whole: bool


def run(run: Run) -> Summary:
    """Generate the corpus in the dataset's root, unless it is complete.

    Raises
    ------
    ParameterError
        When the dataset is not of corpus demo.
    PipelineError
        When the root contains files that this stage did not write.
    """
    if run.entry.corpus != "demo":
        raise ParameterError(f"dataset {run.dataset!r} is of corpus {run.entry.corpus}, not demo")
    planned = plan(run)
    root, takes, (unit,) = planned.root, planned.takes, planned.units
    store = run.items("demo")
    previous = store.receipt(_UNIT)
    made, cost = 0, None
    if run.options.force or previous is None or previous.key != unit.key or not planned.whole:
        began_s = time.perf_counter()
        _clear(root, previous)
        _make(run, takes, root)
        rows = [_file_row(root, path) for path in _files(root)]
        made_with = numerics.fingerprint(numerics.computing())
        previous = store.commit(_UNIT, unit.key, [], {"files": rows}, made_with)
        made = len(takes)
        cost = _cost(run, unit, rows, time.perf_counter() - began_s)
    run.provenance("demo").keep({_UNIT: (unit.key, unit.provenance)})
    batch = Batch({_UNIT: previous}, made, len(takes) - made, 0, cost)
    frames = f"{len(previous.rows['files'])} files"
    return summarise(
        "demo", run, "take", len(takes), len(takes), [], batch, notes=[frames], look=[str(root)]
    )


def plan(run: Run) -> Planned:
    """The corpus as one unit, and its takes."""
    root, section = Path(run.entry.root), run.params.demo
    params = DemoParams(**{**section.model_dump(), "speakers": tuple(section.speakers)})
    takes = make.plan_takes(params)
    key = digest(["demo", VERSION, make.VERSION, section.key()])
    unit = Unit(
        _UNIT, key, None, effort=len(takes),
        code=short_digest(VERSION, make.VERSION), parameters=short_digest(section.key()),
    )  # fmt: skip
    previous = run.items("demo").receipt(_UNIT)
    return Planned([unit], takes, root, previous is not None and _whole(root, previous))


def _cost(run: Run, unit: Unit, rows: list[dict[str, Any]], loop_s: float) -> StageCost:
    workers = 0 if run.options.engine == "serial" else run.options.workers
    cost = stage_cost(
        [UnitCost(loop_s * max(workers, 1), peak_memory_mb())],
        planned=1, effort=unit.effort, loop_s=loop_s, workers=workers,
        out_bytes=sum(row["bytes"] for row in rows),
    )  # fmt: skip
    return replace(cost, processes=workers)  # all workers share the one unit


def _make(run: Run, takes: list[DemoTake], root: Path) -> None:
    make_folder(root / make.STAGING)
    outcomes = executor.run(
        partial(make_take, root),
        {take.id: take for take in takes},
        setup=no_setup,
        engine=run.options.engine,
        workers=run.options.workers,
        limits=run.options.limits,
    )
    with run.progress("demo: takes", len(takes)) as step:
        for name, outcome in outcomes:
            if isinstance(outcome, executor.Died):
                raise PipelineError(
                    f"{name} was not rendered: {outcome.detail}; run the command again"
                )
            step()
    make.finish(root, takes)


def _clear(root: Path, previous: Receipt | None) -> None:
    """Delete the previous output of this stage; refuse folders with other files."""
    known = {row["path"] for row in previous.rows["files"]} if previous else set()
    strange = [path for path in _files(root) if path not in known]
    if strange and not (root / make.STAGING).is_dir():
        raise PipelineError(
            f"{root} contains {strange[0]}, which is not part of the demo; "
            "give the demo dataset a root of its own"
        )
    for path in known:
        (root / path).unlink(missing_ok=True)


def _files(root: Path) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and make.STAGING not in path.relative_to(root).parts
    )


def _file_row(root: Path, path: str) -> dict[str, Any]:
    file = root / path
    return {"path": path, "bytes": file.stat().st_size, "sha256": sha256_of(file)}


def _whole(root: Path, receipt: Receipt) -> bool:
    rows = receipt.rows["files"]
    return all(
        (root / row["path"]).is_file() and (root / row["path"]).stat().st_size == row["bytes"]
        for row in rows
    )
