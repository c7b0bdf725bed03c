"""How long a stage's units take, and how much disk and memory, at a rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.alignment.compiling import is_compiled
from pipeline.records import Clip
from pipeline.runtime.run import Run
from pipeline.runtime.store import Receipt
from pipeline.stages.extract.worker import effort_of
from pipeline.tools.plan.default_rates import COMPILE_S
from pipeline.tools.plan.rating import Rate, rate_of, size_of, slowness
from pipeline.tools.plan.unit_status import Fates

_GROWS_WITH: dict[str, Literal["units", "volume", "files"]] = {
    "align": "volume", "pose": "volume", "filter": "volume", "directions": "volume",
    "synth": "volume", "report": "files",
}  # fmt: skip
"""What lies beside a stage's own files grows with: receipts and tables with the units, where a unit
is a take; with what is in them, where it is more; the page with what it shows."""
_OF_KINDS = ("shards", "report")
"""Stages whose units are of several kinds, each of its own density."""


@dataclass(frozen=True)
class Price:
    """What a stage would take: seconds, bytes it writes, bytes it lies in afterwards, memory.

    `disk_bytes` is of the stage's whole folder when it is done, `now_bytes` of what lies there.
    `least_seconds` are those where all may stay of what is told as at most.
    """

    seconds: float
    least_seconds: float
    written_bytes: int
    now_bytes: int
    disk_bytes: int
    memory_mb: float
    source: str


def efforts_of(fates: Fates, clips: Mapping[str, Clip]) -> dict[str, float]:
    """The effort of each unit to be redone; of a take, what probing says of it."""
    found = {unit.name: unit.effort for unit in fates.units if unit.name in fates.redo}
    if fates.stage != "extract":
        return found
    return {name: effort_of(clips[name]) if name in clips else 0.0 for name in found}


def price_of(
    run: Run, fates: Fates, clips: Mapping[str, Clip], trial: Rate | None = None
) -> Price | None:
    """What the fates of a stage cost; None where they are not known."""
    if fates.certainty == "unknown":
        return None
    rate = rate_of(run, fates.stage, trial)
    efforts = efforts_of(fates, clips)
    volumes = volumes_of(fates, efforts)
    now = size_of(_folder(run, fates.stage))
    written = _written(run, fates, volumes, rate)
    kept = sum(receipt.n_bytes for receipt in fates.receipts.values())
    beside = _beside(run, fates, volumes, written + kept, now, rate)
    if fates.stage == "demo":  # its one unit's files are the corpus
        kept, beside = now if fates.is_done else 0, 0.0
    is_same = fates.is_done or fates.idle is not None
    busy = [*efforts.values()]
    workers = 0 if run.options.engine == "serial" else max(run.options.workers, 1)
    planned = sum(unit.effort for unit in fates.units)
    compile_s = _compile_s() if fates.stage == "align" and busy else 0.0
    most_s = rate.seconds(busy, workers, planned) + compile_s
    return Price(
        seconds=most_s,
        least_seconds=(
            rate.seconds([], workers, planned) if fates.certainty == "at most" else most_s
        ),
        written_bytes=round(written),
        now_bytes=now,
        disk_bytes=now if is_same else round(kept + written + beside),
        memory_mb=rate.memory_mb * max(min(workers, len(busy)), 1),
        source=rate.source,
    )


def _compile_s() -> float:
    """What the aligner's first use on an installation costs more."""
    return 0.0 if is_compiled() else COMPILE_S * slowness()


def _folder(run: Run, stage: str) -> Path:
    return Path(run.entry.root) if stage == "demo" else run.folder(stage)


def volumes_of(fates: Fates, efforts: Mapping[str, float]) -> dict[str, float]:
    """The volume of every planned unit: of one to be redone as foreseen, else as it was done."""
    found = {}
    for unit in fates.units:
        if unit.name in fates.redo:
            effort = efforts[unit.name]
        elif fates.stage == "extract":
            rows = fates.receipts[unit.name].rows.get("clips", ())
            effort = sum(effort_of(Clip.from_row(row)) for row in rows)
        else:
            effort = unit.effort
        found[unit.name] = effort if unit.volume is None else unit.volume
    return found


def _written(run: Run, fates: Fates, volumes: Mapping[str, float], rate: Rate) -> float:
    """Bytes of what is redone: as reused units of its kind have them, else, in stages of several
    kinds, as those of its kind that are to be redone had them, else as all reused ones, else by
    rate."""
    store, names = run.items(fates.stage), fates.redo if fates.stage in _OF_KINDS else ()
    stale = {name: receipt for name in names if (receipt := store.receipt(name)) is not None}
    reused = _densities(fates.stage, fates.receipts, volumes)
    had = _densities(fates.stage, stale, volumes)

    def of(name: str) -> float:
        kind = _kind(fates.stage, name)
        known = (reused.get(kind), had.get(kind), reused.get(""), rate.unit_bytes)
        return volumes[name] * next(density for density in known if density is not None)

    return sum(map(of, fates.redo))


def _densities(
    stage: str, receipts: Mapping[str, Receipt], volumes: Mapping[str, float]
) -> dict[str, float]:
    """Bytes of a measure of volume, by kind and of all (""); where there are none, nothing."""
    n_bytes, volume = dict[str, float](), dict[str, float]()
    for name, receipt in receipts.items():
        for kind in (_kind(stage, name), ""):
            n_bytes[kind] = n_bytes.get(kind, 0.0) + receipt.n_bytes
            volume[kind] = volume.get(kind, 0.0) + volumes[name]
    return {kind: n / volume[kind] for kind, n in n_bytes.items() if n and volume[kind]}


def _kind(stage: str, name: str) -> str:
    return name.split("/")[0] if stage in _OF_KINDS else "all"


def _beside(
    run: Run,
    fates: Fates,
    volumes: Mapping[str, float],
    own_bytes: float,
    now: int,
    rate: Rate,
) -> float:
    """Bytes beside the units' own files (receipts, tables, pages)."""
    each = beside_each(run, fates, volumes, now)
    sizes = {"units": len(fates.units), "volume": sum(volumes.values()), "files": own_bytes}
    return (rate.beside_bytes if each is None else each) * sizes[_grows_with(fates.stage)]


def beside_each(run: Run, fates: Fates, volumes: Mapping[str, float], now: int) -> float | None:
    """Bytes beside for each unit, measure of volume or byte, as they lie there now, if any do."""
    found, store = dict(fates.receipts), run.items(fates.stage)
    for name in store.units() - set(found):
        receipt = store.receipt(name)
        if receipt is not None:
            found[name] = receipt
    files = sum(receipt.n_bytes for receipt in found.values())
    usual = sum(volumes.values()) / max(len(volumes), 1)
    volume = sum(volumes.get(name, usual) for name in found)
    sizes = {"units": len(found), "volume": volume, "files": files}
    there = sizes[_grows_with(fates.stage)]
    return max(now - files, 0) / there if there and now else None


def _grows_with(stage: str) -> Literal["units", "volume", "files"]:
    return _GROWS_WITH.get(stage, "units")
