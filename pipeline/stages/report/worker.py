"""Picture sheets as JSON: a card a pair, a face a reject, sheets and grids. The stage's worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.params import Report
from pipeline.records import Clip
from pipeline.runtime.run import Outcome
from pipeline.runtime.store import ItemStore, write_json
from pipeline.stages.report import pictures
from pipeline.stages.report.contact_sheets import SheetJob, sheet
from pipeline.stages.report.film_strips import film
from pipeline.stages.report.grids import GridJob, InversionJob, grid, inversions
from pipeline.stages.report.opus import opus_bytes
from pipeline.stages.report.pair_view import RATE_HZ, CardJob, PoseFiles, portray

SUFFIX = ".json"


@dataclass(frozen=True)
class FaceJob:
    """One picture of a take that a reject names."""

    clip: Clip
    extracted: Path
    section: Report


Job = CardJob | FaceJob | SheetJob | GridJob | InversionJob


def draw(state: PoseFiles, store: ItemStore, unit: str, job: Job) -> Outcome:
    """Draw one card, face, contact sheet or grid and keep it as JSON."""
    write_json(store.path(unit, SUFFIX), _content(state, job))
    return Outcome(suffixes=[SUFFIX])


def _content(state: PoseFiles, job: Job) -> dict[str, Any]:
    match job:
        case CardJob():
            return _card(state, job)
        case SheetJob():
            return sheet(job)
        case GridJob():
            return grid(job)
        case InversionJob():
            return inversions(job)
        case FaceJob():
            return _portrait(job)


def _card(files: PoseFiles, job: CardJob) -> dict[str, Any]:
    drawn, size = portray(files, job), job.section.thumb_px
    strip, overlay = None, None
    if drawn.tops:
        faces = {"a": pictures.strip(drawn.tops), "b": pictures.strip(drawn.bottoms)}
        strip = {**faces, "size_px": size, "posed": drawn.posed, "columns": list(drawn.columns)}
    if drawn.overlay is not None:
        frames = {"frame_a": drawn.overlay.frame_a, "frame_b": drawn.overlay.frame_b}
        overlay = {"picture": pictures.strip(drawn.overlay.faces), "size_px": size, **frames}
    mels, sounds = (
        dict(zip("ab", column, strict=True))
        for column in (
            [pictures.grey_uri(mel) for mel in drawn.mels],
            [pictures.data_uri("audio/ogg", opus_bytes(s, RATE_HZ)) for s in drawn.sounds],
        )
    )
    starts = {"a": job.a.audio_start_s, "b": job.b.audio_start_s}
    return {
        "figure": drawn.figure, "mels": mels, "sounds": sounds, "sound_starts_s": starts,
        "strip": strip, "overlay": overlay,
    }  # fmt: skip


def _portrait(job: FaceJob) -> dict[str, Any]:
    shown = film(job.clip, job.extracted, job.section.thumb_px)
    middle = shown.crop(len(shown.crops) // 2)
    picture = pictures.face(middle, job.clip, shown.framing, job.section.thumb_px)
    return {"picture": pictures.jpeg_uri(picture)}
