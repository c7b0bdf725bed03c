"""extract: decode every take once; keep its face track, one crop a frame, its sound at 16 kHz."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from pipeline import corpora
from pipeline.digests import digest
from pipeline.errors import Reject
from pipeline.faces.mediapipe_tasks import read_task
from pipeline.params import Extract
from pipeline.records import Clip, Rejected, Source, Take, rejected
from pipeline.runtime.costs import short
from pipeline.runtime.run import Run, Summary, Unit, run_units, summarise
from pipeline.runtime.store import FileHashes
from pipeline.runtime.tables import sorted_rows
from pipeline.splits import admitted, check_assigned, split_of
from pipeline.stages.extract.worker import (
    GRAIN,
    Job,
    Tools,
    extract_take,
)

VERSION = 6


@dataclass(frozen=True)
class Planned:
    """The units of a dataset, the takes that are none with their reasons, and how many in all."""

    units: list[Unit]
    rejects: list[Rejected]
    n_takes: int


def run(run: Run) -> Summary:
    """Extract every take of a dataset that changed since the last run."""
    section = run.params.extract
    task = None
    if section.landmarker != "mesh":
        task = read_task(Path(section.landmarker), section.landmarker_sha256)
    planned = plan(run)
    batch = run_units(run, "extract", GRAIN, planned.units, extract_take, partial(Tools, task))
    rejects = [*planned.rejects, *batch.rejects()]
    rejects.sort(key=lambda reject: (reject.item, reject.reason))
    clips = sorted_rows(batch.rows("clips"), Clip, "take_id")
    run.write_tables("extract", {"clips": (Clip, clips), "rejected": (Rejected, rejects)})
    return summarise(
        "extract", run, GRAIN, planned.n_takes, len(clips), rejects, batch,
        notes=_notes(clips), look=[str(run.table("extract", "clips"))],
    )  # fmt: skip


def plan(run: Run) -> Planned:
    """The takes to extract, each with its key; decodes nothing."""
    root = Path(run.entry.root)
    listing = corpora.list_takes(run.dataset, run.entry, root, run.forgotten)
    check_assigned(run.params.split_rule(run.dataset), {t.speaker for t in listing.takes})
    hashes = run.hashes()
    units, rejects = _plan(run, listing.takes, root, hashes)
    hashes.save()
    rejects += listing.rejected
    return Planned(units, rejects, len(listing.takes) + len(listing.rejected))


def _plan(
    run: Run, takes: Iterable[Take], root: Path, hashes: FileHashes
) -> tuple[list[Unit], list[Rejected]]:
    section = run.params.extract
    rule = run.params.split_rule(run.dataset)
    wanted, mesh = _key(section), version("mediapipe")  # a look at a file of metadata
    code = short(VERSION, mesh)
    units: list[Unit] = []
    rejects: list[Rejected] = []
    for take in takes:
        if not admitted(rule, take.speaker):
            detail = f"split {run.entry.split} admits other speakers only"
            rejects.append(rejected("extract", GRAIN, take.take_id, "not_admitted", detail))
            continue
        split = split_of(
            rule, speaker=take.speaker, sentence=take.sentence, utterance_id=take.utterance_id
        )
        try:
            content = [_sha256(hashes, root, source) for source in (take.video, take.audio)]
        except Reject as reject:
            rejects.append(rejected("extract", GRAIN, take.take_id, reject.reason, reject.detail))
            continue
        key = digest(["extract", VERSION, mesh, wanted, content, split, take.to_row()])
        name = f"{take.speaker}/{take.take_id}"
        job = Job(take, split, root, section)
        units.append(Unit(name, key, job, code=code, parameters=short(wanted, split)))
    return units, rejects


def _key(section: Extract) -> str:
    """The section's key, the same wherever the landmark model's file lies."""
    is_mesh = section.landmarker == "mesh"
    return section.model_copy(update={"landmarker": "mesh" if is_mesh else "task"}).key()


def _sha256(hashes: FileHashes, root: Path, source: Source | None) -> str | None:
    return None if source is None else corpora.source_sha256(hashes, root, source)


def _notes(clips: list[Clip]) -> list[str]:
    frames = sum(clip.n_frames for clip in clips)
    found = sum(clip.n_found for clip in clips)
    sound_s = sum(clip.audio_end_s - clip.audio_start_s for clip in clips)
    notes = [f"{sound_s / 60:.1f} minutes of sound"]
    if frames:
        notes.append(f"{frames} frames, a face in {100 * found / frames:.1f} % of them")
    without_picture = sum(not clip.has_picture for clip in clips)
    if without_picture:
        notes.append(f"{without_picture} takes have no picture: sound alone goes as far as align")
    return notes
