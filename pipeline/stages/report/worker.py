"""Image sheets as JSON: pair cards, faces of rejected takes, contact sheets and grids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.params import Report
from pipeline.records import Clip
from pipeline.runtime.store import ItemStore, write_json
from pipeline.runtime.units import UnitResult
from pipeline.stages.report import images
from pipeline.stages.report.contact_sheets import SheetJob, sheet
from pipeline.stages.report.film_strips import film
from pipeline.stages.report.grids import GridJob, InversionJob, grid, inversions
from pipeline.stages.report.pair_cards import card
from pipeline.stages.report.pair_view import CardJob, PoseFiles

SUFFIX = ".json"


@dataclass(frozen=True)
class FaceJob:
    """One face of a rejected take."""

    clip: Clip
    extracted: Path
    section: Report


Job = CardJob | FaceJob | SheetJob | GridJob | InversionJob


def draw(state: PoseFiles, store: ItemStore, unit: str, job: Job) -> UnitResult:
    """Draw one card, face, contact sheet or grid and write it as JSON."""
    write_json(store.path(unit, SUFFIX), _content(state, job))
    return UnitResult(suffixes=[SUFFIX])


def _content(state: PoseFiles, job: Job) -> dict[str, Any]:
    match job:
        case CardJob():
            return card(state, job)
        case SheetJob():
            return sheet(job)
        case GridJob():
            return grid(job)
        case InversionJob():
            return inversions(job)
        case FaceJob():
            return _face(job)


def _face(job: FaceJob) -> dict[str, Any]:
    shown = film(job.clip, job.extracted, job.section.thumb_px)
    middle = shown.crop(len(shown.crops) // 2)
    image = images.face(middle, job.clip, shown.framing, job.section.thumb_px)
    return {"image": images.jpeg_uri(image)}
