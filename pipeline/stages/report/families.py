"""The page's section on synthetic families: figures per emotion, directions, grids to draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.params import Report
from pipeline.records import Clip, Direction, InvertedTake, MadeFamily, MadeImage
from pipeline.runtime.run import Run
from pipeline.runtime.tables import AnyRow
from pipeline.stages.report.grids import GridJob, InversionJob
from pipeline.stages.report.metrics import rounded
from spfem_data.labels import EMOTIONS

GRIDS, INVERSIONS = "families/", "inversions/"
_TITLES = {"worst": "Largest pixel error", "best": "Smallest pixel error"}
_FAMILIES, _FRAMES = ".families.parquet", ".frames.parquet"


@dataclass(frozen=True)
class Made:
    """The tables of invert, directions and synth, empty if they have not run."""

    inverted: tuple[InvertedTake, ...]
    directions: tuple[Direction, ...]
    images: tuple[MadeImage, ...]
    families: tuple[MadeFamily, ...]


@dataclass(frozen=True)
class FamiliesPage:
    """Everything that the section shows. `grids` by take, for some speakers with families."""

    figures: Mapping[str, Any]
    directions: tuple[Direction, ...]
    grids: Mapping[str, Mapping[str, Any]]
    n_speakers: int
    inversions: tuple[Inversions, ...] = ()


@dataclass(frozen=True)
class Inversions:
    """Inversion pairs: title, strips, and the take of each column."""

    title: str
    drawn: Mapping[str, Any]
    takes: tuple[InvertedTake, ...]


def gather_made(run: Run) -> Made:
    """Read the tables of the synthetic stages."""

    def rows(stage: str, name: str, kind: type[AnyRow]) -> tuple[AnyRow, ...]:
        return tuple(run.find(stage, name, kind) or ())

    return Made(
        rows("invert", "inverted", InvertedTake),
        rows("directions", "directions", Direction),
        rows("synth", "images", MadeImage),
        rows("synth", "families", MadeFamily),
    )


def grid_jobs(
    made: Made, clips: Mapping[str, Clip], run: Run, section: Report
) -> Iterator[tuple[str, Sequence[str], GridJob]]:
    """Unit, digests of its content, and job: one take per speaker with a few of its families.

    If more speakers have families than there are grids, every n-th speaker gets one.
    """
    by_speaker: dict[str, list[MadeFamily]] = {}
    for family in made.families:
        by_speaker.setdefault(family.speaker, []).append(family)
    speakers = sorted(by_speaker)
    n = min(section.grids, len(speakers))
    for nth in range(n):
        theirs = by_speaker[speakers[nth * len(speakers) // n]]
        take_id = theirs[0].take_id
        shown = [family for family in theirs if family.take_id == take_id][: section.families]
        job = _grid_job(run, clips[take_id], shown, section.sheet_px)
        yield f"{GRIDS}{take_id}", [family.rows_sha256 for family in shown], job


def inversion_takes(made: Made, count: int) -> dict[str, tuple[InvertedTake, ...]]:
    """Takes with a family, by the pixel error of their codes: the worst and, of the rest, the best.

    At most `count` of each kind; the extreme is first.
    """
    with_family = {family.take_id for family in made.families}
    known = [t for t in made.inverted if t.pixel_error is not None and t.take_id in with_family]
    order = sorted(known, key=lambda take: (-(take.pixel_error or 0.0), take.take_id))
    kinds = {"worst": order[:count], "best": order[count:][: -count - 1 : -1]}
    return {kind: tuple(takes) for kind, takes in kinds.items() if takes}


def inversion_jobs(
    made: Made, clips: Mapping[str, Clip], run: Run, section: Report
) -> Iterator[tuple[str, Sequence[str], InversionJob]]:
    """Unit, digests of its content, and job: one frame per take."""
    first = {family.take_id: family for family in reversed(made.families)}
    for kind, takes in inversion_takes(made, section.sheet).items():
        jobs = tuple(
            _grid_job(run, clips[take.take_id], (first[take.take_id],), section.sheet_px)
            for take in takes
        )
        shown = [first[take.take_id].rows_sha256 for take in takes]
        yield f"{INVERSIONS}{kind}", shown, InversionJob(jobs)


def _grid_job(run: Run, clip: Clip, shown: Sequence[MadeFamily], size_px: int) -> GridJob:
    item = f"{clip.speaker}/{clip.take_id}"
    return GridJob(
        clip, tuple(family.family_id for family in shown), run.items("synth").path(item, _FAMILIES),
        run.items("extract").path(item, _FRAMES), size_px,
    )  # fmt: skip


def families_page(
    made: Made,
    drawn: Mapping[str, Mapping[str, Any]],
    inverted: Mapping[str, Mapping[str, Any]] | None = None,
    count: int = 0,
) -> FamiliesPage | None:
    """The section; None where no take was inverted.

    Parameters
    ----------
    drawn, inverted
        The drawn grids by take and the drawn inversion pairs by kind.
    count
        The maximum number of inversion pairs of a kind.
    """
    if not made.inverted:
        return None
    takes = inversion_takes(made, count) if inverted else {}
    shown = tuple(
        Inversions(_TITLES[kind], inverted[kind], own)
        for kind, own in takes.items()
        if inverted and kind in inverted
    )
    n_speakers = len({family.speaker for family in made.families})
    return FamiliesPage(family_figures(made), made.directions, drawn, n_speakers, shown)


def family_figures(made: Made) -> dict[str, Any]:
    """Figures for metrics.json and the page: inversion, families and each emotion."""
    planned = {image.family_id for image in made.images}
    return {
        "inverted_takes": len(made.inverted),
        "inverted_frames": sum(take.n_kept for take in made.inverted),
        "pixel_error_median": _median([take.pixel_error for take in made.inverted]),
        "families_planned": len(planned),
        "families_kept": len(made.families),
        "directions": {row.direction_id: _direction(row) for row in made.directions},
        "per_emotion": {emotion: _emotion(made, emotion) for emotion in EMOTIONS[1:]},
        "reconstruction": _moved([p for p in made.images if p.is_reconstruction and p.family_kept]),
    }


def _direction(row: Direction) -> dict[str, Any]:
    return {
        "accuracy_by_take": _median([row.accuracy_by_take]),
        "accuracy_by_speaker": _median([row.accuracy_by_speaker]),
        "class_gap": rounded(row.class_gap, 4),
        "shift_before": [rounded(value, 4) for value in row.shift_before],
        "shift_after": [rounded(value, 4) for value in row.shift_after],
    }


def _emotion(made: Made, emotion: str) -> dict[str, Any]:
    own = [p for p in made.images if p.emotion == emotion and not p.is_reconstruction]
    kept = [p for p in own if p.verdict == "kept" and p.family_kept]
    return {
        "made": len(own),
        "kept": len(kept),
        "gaps_median": _median([p.gaps for p in kept]),
        "beta_median": _median([p.beta for p in kept]),
        "clarity_rise_median": _median([p.clarity_rise for p in kept]),
        "identity_median": _median([p.identity for p in kept]),
        **_moved(kept),
    }


def _moved(images: Sequence[MadeImage]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name in ("open", "width", "corner"):
        values = [getattr(p, f"mouth_{name}_difference") for p in images]
        moved = [abs(value) for value in values if value is not None]
        figures[f"{name}_moved_median"] = _median(moved)
        figures[f"{name}_moved_p95"] = (
            rounded(float(np.percentile(moved, 95)), 4) if moved else None
        )
    return figures


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return rounded(float(np.median(known)), 4) if known else None
