"""How long the takes are that are still to be extracted: as before, else as containers declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from pipeline import corpora
from pipeline.errors import Reject
from pipeline.media.probe import Probe, probe
from pipeline.records import Clip
from pipeline.runtime.run import Run, Unit
from pipeline.tools.plan.expected import clip_of, told
from pipeline.tools.plan.forecast_run import EXPECTED

MOST = 400
"""Containers opened at most; of more takes, so many evenly spread ones stand for the others."""


@dataclass(frozen=True)
class Probed:
    """The clips that pending takes are expected to give, by unit, and how that is known.

    `n_probed` containers were opened, `n_known` takes were extracted before, `n_unreadable` were
    seen to give nothing. `source_bytes` is the size of their files and members of archives.
    """

    clips: Mapping[str, Clip]
    n_probed: int
    n_known: int
    n_unreadable: int
    source_bytes: int

    @property
    def duration_s(self) -> float:
        """Seconds of sound in all pending takes."""
        return sum(clip.audio_end_s - clip.audio_start_s for clip in self.clips.values())


def probe_units(run: Run, units: Sequence[Unit]) -> Probed:
    """What extracting these takes is expected to give; what gave nothing before is left out."""
    clips: dict[str, Clip] = {}
    unknown: list[Unit] = []
    lost = known = 0
    for unit in units:
        before = _before(run, unit)
        if before is None:
            unknown.append(unit)
        elif before:
            clips[unit.name] = before[0]
            known += 1
        else:
            lost += 1
    opened = _opened(unknown)
    usual = _usual([found for found in opened.values() if found is not None])
    for unit in unknown:
        found = opened.get(unit.name, usual)
        if found is None:
            lost += 1
        else:
            job = unit.payload
            clips[unit.name] = clip_of(job.take, job.split, found, job.section.crop_px)
    return Probed(clips, len(opened), known, lost, sum(map(_source_bytes, units)))


def _before(run: Run, unit: Unit) -> list[Clip] | None:
    """The clip of a take extracted before, [] where it gave none, None where it never was."""
    receipt = run.items("extract").receipt(unit.name)
    if receipt is None:
        return None
    rows = told(receipt.rows.get("clips", ()), Clip)
    return [
        replace(
            clip,
            frames_sha256=EXPECTED if clip.has_picture else None,
            audio_sha256=f"{EXPECTED} {clip.take_id}",
        )
        for clip in rows
    ]


def _opened(units: Sequence[Unit]) -> dict[str, Probe | None]:
    """Probes of all units or of a sample; None where a container cannot be opened."""
    step = max(len(units) / MOST, 1.0)
    chosen = sorted({int(k * step) for k in range(min(len(units), MOST))})
    return {units[k].name: _probe(units[k]) for k in chosen}


def _source_bytes(unit: Unit) -> int:
    sources = [source for source in (unit.payload.take.video, unit.payload.take.audio) if source]
    return sum(corpora.source_bytes(unit.payload.root, source) for source in sources)


def _probe(unit: Unit) -> Probe | None:
    job = unit.payload
    source = job.take.video or job.take.audio
    try:
        with corpora.open_source(job.root, source, job.section.max_file_mb << 20) as stream:
            return probe(stream)
    except Reject:
        return None


def _usual(found: Sequence[Probe]) -> Probe | None:
    """What stands for the takes that were not opened: means, and the usual size."""
    if not found:
        return None
    n = len(found)
    seconds, frames = sum(p.duration_s for p in found) / n, sum(p.n_frames for p in found) / n
    sizes = [(p.width_px, p.height_px) for p in found]
    width, height = (int(median(size[k] for size in sizes)) for k in (0, 1))
    return Probe(seconds, round(frames), width, height)
