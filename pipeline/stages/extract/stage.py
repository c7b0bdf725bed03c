"""extract: decode every take; store its face track, one crop per frame and 16 kHz audio."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from pipeline import corpora
from pipeline.digests import digest, short_digest
from pipeline.errors import Reject
from pipeline.faces.mediapipe_tasks import read_task
from pipeline.params import Extract
from pipeline.records import Clip, Rejected, Source, Take, rejected
from pipeline.runtime.run import Run
from pipeline.runtime.store import FileHashes
from pipeline.runtime.summaries import Summary, summarise
from pipeline.runtime.tables import sorted_rows
from pipeline.runtime.units import Unit, run_units
from pipeline.splits import admitted, check_assigned, split_of
from pipeline.stages.extract.worker import (
    GRAIN,
    Job,
    Tools,
    extract_take,
)

VERSION = 8


@dataclass(frozen=True)
class Planned:
    """The units of a dataset, rejected takes, their total number, and notes on skipped files."""

    units: list[Unit]
    rejects: list[Rejected]
    n_takes: int
    notes: tuple[str, ...] = ()


def run(run: Run) -> Summary:
    """Extract every take of a dataset that has changed since the last run."""
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
        notes=[*_notes(clips), *planned.notes], look=[str(run.table("extract", "clips"))],
    )  # fmt: skip


def plan(run: Run) -> Planned:
    """The takes to extract, each with its content key; decodes nothing."""
    root = Path(run.entry.root)
    listing = corpora.list_takes(run.dataset, run.entry, root, run.forgotten)
    check_assigned(run.params.split_rule(run.dataset), {t.speaker for t in listing.takes})
    hashes = run.hashes()
    units, rejects = _plan(run, listing.takes, root, hashes)
    hashes.save()
    rejects += listing.rejected
    n_takes = len(listing.takes) + len(listing.rejected)
    return Planned(units, rejects, n_takes, tuple(corpora.skipped_notes(listing)))


def _plan(
    run: Run, takes: Iterable[Take], root: Path, hashes: FileHashes
) -> tuple[list[Unit], list[Rejected]]:
    section = run.params.extract
    rule = run.params.split_rule(run.dataset)
    wanted, mesh = _key(section), version("mediapipe")  # reads a metadata file
    code = short_digest(VERSION, mesh)
    units: list[Unit] = []
    rejects: list[Rejected] = []
    for take in takes:
        if not admitted(rule, take.speaker):
            detail = f"split {run.entry.split} admits only other speakers"
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
        job = Job(take, split, root, section, run.entry.corpus == "custom")
        units.append(Unit(name, key, job, code=code, parameters=short_digest(wanted, split)))
    return units, rejects


def _key(section: Extract) -> str:
    """The section's key, independent of the path of the landmark model's file."""
    is_mesh = section.landmarker == "mesh"
    return section.model_copy(update={"landmarker": "mesh" if is_mesh else "task"}).key()


def _sha256(hashes: FileHashes, root: Path, source: Source | None) -> str | None:
    return None if source is None else corpora.source_sha256(hashes, root, source)


def _notes(clips: list[Clip]) -> list[str]:
    frames = sum(clip.n_frames for clip in clips)
    with_face = sum(clip.n_found for clip in clips)
    audio_s = sum(clip.audio_end_s - clip.audio_start_s for clip in clips)
    notes = [f"{audio_s / 60:.1f} minutes of audio"]
    if frames:
        notes.append(f"{frames} frames, a face in {100 * with_face / frames:.1f} % of them")
    audio_only = sum(not clip.has_video for clip in clips)
    if audio_only:
        notes.append(f"{audio_only} takes are audio-only: they are used up to align")
    findings = Counter(finding for clip in clips for finding in clip.findings)
    if findings:
        counts = ", ".join(f"{finding} {n}" for finding, n in sorted(findings.items()))
        notes.append(f"findings in kept takes: {counts}")
    return notes
