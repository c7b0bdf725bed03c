"""A trial: a few takes are extracted for their price, to a folder that is then removed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.faces.mediapipe_tasks import read_task
from pipeline.records import Clip
from pipeline.runtime.costs import Cost, Stopwatch, spent
from pipeline.runtime.run import Run, Unit
from pipeline.runtime.store import ItemStore
from pipeline.stages.extract.worker import Tools, extract_take
from pipeline.tools.plan.rating import Rate, shipped
from pipeline.tools.plan.unit_status import Fates

_MOST_S = 12.0
"""A take longer than this is no sample: a trial is to be short."""


def try_takes(run: Run, fates: Fates, clips: Mapping[str, Clip], n: int) -> Rate | None:
    """The rate of extract from `n` takes spread over those to be extracted; None without any.

    The first is extracted twice and counts once, so that bringing up the models is told apart.
    """
    fit = [u for u in fates.units if u.name in clips and _length_s(clips[u.name]) < _MOST_S]
    if not fit:
        return None
    chosen = [fit[int((k + 0.5) * len(fit) / n)] for k in range(min(n, len(fit)))]
    tools = Tools(_task(run))
    with TemporaryDirectory() as folder:
        store = ItemStore(Path(folder))
        first = _extract(store, tools, chosen[0])
        found = [_extract(store, tools, unit) for unit in chosen]
    costs = [cost for cost, _ in found]
    total = spent(costs, planned=[], loop_s=0.0, workers=0, out_bytes=sum(b for _, b in found))
    if not total.effort:
        return None
    unit_s = total.busy_s / total.effort
    usual = shipped("extract")
    return Rate(
        unit_s=unit_s,
        warm_s=max(first[0].busy_s - first[0].effort * unit_s, 0.0),
        spawn_s=usual.spawn_s,
        rest_s=usual.rest_s,
        each_s=usual.each_s,
        unit_bytes=total.out_bytes / total.effort,
        beside_bytes=usual.beside_bytes,
        memory_mb=total.memory_mb,
        source=f"a trial of {len(chosen)} takes just now",
    )


def _extract(store: ItemStore, tools: Tools, unit: Unit) -> tuple[Cost, int]:
    watch = Stopwatch("trial")
    outcome = extract_take(tools, store, unit.name, unit.payload)
    cost = watch.cost(outcome.effort or 0.0, outcome.effort or 0.0)
    return cost, sum(store.path(unit.name, suffix).stat().st_size for suffix in outcome.suffixes)


def _task(run: Run) -> bytes | None:
    section = run.params.extract
    if section.landmarker == "mesh":
        return None
    return read_task(Path(section.landmarker), section.landmarker_sha256)


def _length_s(clip: Clip) -> float:
    return clip.audio_end_s - clip.audio_start_s
