"""How long a stage's units take, and how much disk and memory, at a rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.planning.fates import Fates
from pipeline.planning.rating import Rate, rate_of, size_of
from pipeline.records import Clip
from pipeline.run import Run, Unit
from pipeline.stages.extract import effort_of


@dataclass(frozen=True)
class Price:
    """What a stage would take: seconds, bytes it writes, bytes it lies in afterwards, memory.

    `disk_bytes` is of the stage's whole folder when it is done, `now_bytes` of what lies there.
    """

    seconds: float
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
    folder = _folder(run, fates.stage)
    now = size_of(folder)
    kept = sum(receipt.n_bytes for receipt in fates.receipts.values())
    per_effort = _unit_bytes(fates, rate)
    written = sum(efforts.values()) * per_effort
    beside = _beside_bytes(run, fates, now, rate) * len(fates.units)
    if fates.stage == "demo":  # its one unit's files are the corpus
        kept = now if fates.is_done else 0
        beside = 0.0
    is_same = fates.is_done or fates.idle is not None
    return Price(
        seconds=rate.seconds(list(efforts.values()), run.options.workers),
        written_bytes=round(written),
        now_bytes=now,
        disk_bytes=now if is_same else round(kept + written + beside),
        memory_mb=rate.memory_mb * max(min(run.options.workers, len(efforts)), 1),
        source=rate.source,
    )


def _folder(run: Run, stage: str) -> Path:
    return Path(run.entry.root) if stage == "demo" else run.folder(stage)


def _unit_bytes(fates: Fates, rate: Rate) -> float:
    """Bytes of a measure of effort: of this stage's own files where any are reused."""
    by_name = {unit.name: unit for unit in fates.units}
    reused = {name: by_name[name] for name in fates.receipts}
    effort = sum(map(partial(_effort_of_done, fates), reused.values()))
    written = sum(receipt.n_bytes for receipt in fates.receipts.values())
    return written / effort if effort and written else rate.unit_bytes


def _effort_of_done(fates: Fates, unit: Unit) -> float:
    if fates.stage != "extract":
        return unit.effort
    rows = fates.receipts[unit.name].rows.get("clips", ())
    return sum(effort_of(Clip.from_row(row)) for row in rows)


def _beside_bytes(run: Run, fates: Fates, now: int, rate: Rate) -> float:
    """Bytes beside the units' own files (receipts, tables), per unit: as they lie there now."""
    store = run.items(fates.stage)
    names = store.units()
    found = [receipt for name in names if (receipt := store.receipt(name)) is not None]
    if not found or now == 0:
        return rate.beside_bytes
    return max(now - sum(receipt.n_bytes for receipt in found), 0) / len(found)
