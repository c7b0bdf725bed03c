"""Contact sheets: frames of several takes side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.records import Clip
from pipeline.stages.report import images
from pipeline.stages.report.film_strips import film

_FILMS_IN_MEMORY = 4


@dataclass(frozen=True)
class SheetJob:
    """The frames of one sheet in display order: take and frame number."""

    frames: tuple[tuple[Clip, int], ...]
    extracted: Path
    size_px: int


def sheet(job: SheetJob) -> dict[str, Any]:
    """One strip of faces as a data URI."""
    read = lru_cache(_FILMS_IN_MEMORY)(lambda clip: film(clip, job.extracted, job.size_px))
    faces = [
        images.face(read(clip).crop(frame), clip, read(clip).framing, job.size_px)
        for clip, frame in job.frames
    ]
    return {"image": images.strip(faces), "size_px": job.size_px}
