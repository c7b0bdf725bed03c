"""extract: decode every take once; keep its face track, one crop a frame, its sound at 16 kHz."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline import corpora, media
from pipeline.errors import Reject
from pipeline.faces.crop import square_for
from pipeline.faces.footage import Manner, Row, Tally, first_face, follow
from pipeline.faces.mesh import FaceFinder, MeshTracker, Tracker
from pipeline.faces.tasks import TaskTracker, read_task
from pipeline.params import Extract
from pipeline.records import FRAMES_SCHEMA, Clip, Rejected, Source, Take, rejected
from pipeline.reuse import FileHashes, ItemStore, atomic_path, digest, sha256_of
from pipeline.run import Outcome, Run, Summary, Unit, bring_up_to_date, summarise
from pipeline.split import admitted, check_assigned, split_of
from pipeline.tables import sorted_rows, write_batches

VERSION = 3
FRAMES = ".frames.parquet"
AUDIO = ".audio.flac"
_GRAIN = "take"
_PASSES = 3
_ROWS_PER_GROUP = 64


class Job(NamedTuple):
    """What a worker is given: one take, where its corpus lies, and how to treat it."""

    take: Take
    split: str | None
    root: Path
    section: Extract


class Tools:
    """The face models of one worker, brought up when the first picture needs them.

    Parameters
    ----------
    task
        The content of a task file, None for the mesh inside mediapipe.
    """

    def __init__(self, task: bytes | None = None) -> None:
        media.use_one_thread()
        self._task = task

    @cached_property
    def tracker(self) -> Tracker:
        """What follows one face."""
        return MeshTracker() if self._task is None else TaskTracker(self._task)

    @cached_property
    def finder(self) -> FaceFinder:
        """What finds all faces."""
        return FaceFinder()


@dataclass(frozen=True)
class Picture:
    """What the picture of a take gives to its clip."""

    columns: dict[str, Any]
    span_s: tuple[float, float]
    findings: set[str]


def run(run: Run) -> Summary:
    """Extract every take of a dataset that changed since the last run."""
    root, section = Path(run.entry.root), run.params.extract
    task = None
    if section.landmarker != "mesh":
        task = read_task(Path(section.landmarker), section.landmarker_sha256)
    listing = corpora.list_takes(run.dataset, run.entry, root)
    check_assigned(run.params.split_rule(run.dataset), {t.speaker for t in listing.takes})
    hashes = run.hashes()
    units, rejects = _plan(run, listing.takes, root, hashes)
    hashes.save()
    batch = bring_up_to_date(run, "extract", _GRAIN, units, extract_take, partial(Tools, task))
    rejects += [*listing.rejected, *batch.rejects()]
    rejects.sort(key=lambda reject: (reject.item, reject.reason))
    clips = sorted_rows(batch.rows("clips"), Clip, "take_id")
    run.write_tables("extract", {"clips": (Clip, clips), "rejected": (Rejected, rejects)})
    planned = len(listing.takes) + len(listing.rejected)
    return summarise(
        "extract", run, _GRAIN, planned, len(clips), rejects, batch,
        notes=_notes(clips), look=[str(run.table("extract", "clips"))],
    )  # fmt: skip


def _plan(
    run: Run, takes: Iterable[Take], root: Path, hashes: FileHashes
) -> tuple[list[Unit], list[Rejected]]:
    section = run.params.extract
    rule = run.params.split_rule(run.dataset)
    wanted = _key(section)
    units: list[Unit] = []
    rejects: list[Rejected] = []
    for take in takes:
        if not admitted(rule, take.speaker):
            detail = f"split {run.entry.split} admits other speakers only"
            rejects.append(rejected("extract", _GRAIN, take.take_id, "not_admitted", detail))
            continue
        split = split_of(
            rule, speaker=take.speaker, sentence=take.sentence, utterance_id=take.utterance_id
        )
        try:
            content = [_sha256(hashes, root, source) for source in (take.video, take.audio)]
        except Reject as reject:
            rejects.append(rejected("extract", _GRAIN, take.take_id, reject.reason, reject.detail))
            continue
        key = digest(
            ["extract", VERSION, version("mediapipe"), wanted, content, split, take.to_row()]
        )
        name = f"{take.speaker}/{take.take_id}"
        units.append(Unit(name, key, Job(take, split, root, section)))
    return units, rejects


def _key(section: Extract) -> str:
    """The section's key, the same wherever the landmark model's file lies."""
    is_mesh = section.landmarker == "mesh"
    return section.model_copy(update={"landmarker": "mesh" if is_mesh else "task"}).key()


def _sha256(hashes: FileHashes, root: Path, source: Source | None) -> str | None:
    return None if source is None else corpora.source_sha256(hashes, root, source)


def extract_take(tools: Tools, store: ItemStore, unit: str, job: Job) -> Outcome:
    """Extract one take; a function of its files and parameters alone, whatever was done before."""
    try:
        clip = _extract(tools, store, unit, job)
    except Reject as reject:
        store.path(unit, FRAMES).unlink(missing_ok=True)  # of a pass whose square did not hold
        row = rejected("extract", _GRAIN, job.take.take_id, reject.reason, reject.detail)
        return Outcome(rejects=[row])
    suffixes = [AUDIO, FRAMES] if clip.has_picture else [AUDIO]
    return Outcome(suffixes, {"clips": [clip.to_row()]})


def _extract(tools: Tools, store: ItemStore, unit: str, job: Job) -> Clip:
    section, take = job.section, job.take
    policies: dict[str, str] = section.policies.model_dump()
    chosen = media.choose_sound(
        _sounds(job), section.sample_rate_hz, section.max_duration_s, section.silence_db,
        fill_gaps=policies["sound_gap"] != "use",
    )  # fmt: skip
    length_s = chosen.used.sound.end_s - chosen.used.sound.start_s
    if length_s < section.min_duration_s:
        raise Reject("few_frames", f"{length_s:.2f} s of sound")
    target = store.path(unit, FRAMES)
    picture = None if take.video is None else _picture(tools, target, job, take.video)
    voice = media.place_sound(chosen, None if picture is None else picture.span_s, policies)
    findings = voice.findings | ({"no_picture"} if picture is None else picture.findings)
    media.set_aside(findings, policies)
    if take.video is None:
        voice.columns["audio_from"] = "sound-only take"
    with atomic_path(store.path(unit, AUDIO)) as path:
        media.write_flac(path, voice.sound.samples, voice.sound.sample_rate_hz)
    return Clip(
        **take.to_row(),
        split=job.split,
        **(_NO_PICTURE if picture is None else picture.columns),
        **voice.columns,
        audio_sha256=sha256_of(store.path(unit, AUDIO)),
        findings=tuple(sorted(findings)),
        mended=tuple(sorted(voice.mended | media.to_mend(findings & {"rotated"}, policies))),
    )


_NO_PICTURE: dict[str, Any] = {
    **dict.fromkeys(
        ("width_px", "height_px", "fps", "video_start_s", "video_end_s", "crop_x_px", "crop_y_px",
         "crop_side_px", "crop_px", "interocular_px", "frames_sha256", "declared_frames",
         "longest_frame_s")
    ),
    "n_frames": 0,
    "n_found": 0,
}  # fmt: skip


def _sounds(job: Job) -> list[tuple[str, media.OpenSource]]:
    """The take's sounds (name, how to open it), the wanted one first."""
    sources = [("container", job.take.video), ("file", job.take.audio)]
    wanted = sorted(sources, key=lambda source: source[0] != job.section.sound_from)
    return [(name, partial(_open, job, source)) for name, source in wanted if source is not None]


def _open(job: Job, source: Source) -> AbstractContextManager[media.MediaSource]:
    return corpora.open_source(job.root, source, job.section.max_file_mb << 20)


def _picture(tools: Tools, target: Path, job: Job, source: Source) -> Picture | None:
    """Write the frames of a take; None where the file holds no picture."""
    section = job.section
    limits = media.Limits(section.max_frame_px, section.max_duration_s)
    show = partial(media.open_video, limits=limits, upright=section.policies.rotated != "use")
    manner = Manner(section.mesh_px, section.count_faces_every_s, section.jpeg_quality)
    with _open(job, source) as opened:
        with show(opened) as video:
            if video is None:
                return None
            start = first_face(video, tools.finder, section.mesh_px)
        tally = Tally(square_for([start], section.crop_margin, section.crop_px))
        for left in reversed(range(_PASSES)):
            with show(opened) as video:
                assert video is not None
                rows = follow(video, start, (tools.tracker, tools.finder), manner, tally)
                checked = _checked(rows, video, tally, section, is_last=left == 0)
                write_batches(target, FRAMES_SCHEMA, _batches(checked), plain_columns=["crop"])
            if tally.holds or left == 0:
                break
            tally = Tally(tally.wider(section.crop_margin, section.crop_px))
    return _described(video, tally, target)


def _checked(
    rows: Iterator[Row], video: media.Video, tally: Tally, section: Extract, *, is_last: bool
) -> Iterator[Row]:
    """The rows, then a Reject where the take is of no use: before its file is put in place."""
    yield from rows
    n, found = len(tally.found), sum(tally.found)
    if tally.is_crowded and section.policies.several_faces == "set_aside":
        raise Reject("several_faces", f"up to {max(tally.counts)} faces in the picture")
    if video.end_s - video.times_s[0] < section.min_duration_s:
        raise Reject("few_frames", f"{n} frames, {video.end_s - video.times_s[0]:.2f} s")
    if (tally.holds or is_last) and (found == 0 or found < section.min_found * n):
        raise Reject("no_face", f"a face in {found} of {n} frames")


def _batches(rows: Iterator[Row]) -> Iterator[pa.RecordBatch]:
    while group := list(islice(rows, _ROWS_PER_GROUP)):
        columns = [pa.array([row.get(f.name) for row in group], f.type) for f in FRAMES_SCHEMA]
        yield pa.RecordBatch.from_arrays(columns, schema=FRAMES_SCHEMA)


def _described(video: media.Video, tally: Tally, target: Path) -> Picture:
    square = tally.square
    start_s, end_s = video.times_s[0], video.end_s
    columns = {
        "width_px": video.width_px,
        "height_px": video.height_px,
        "fps": round(len(tally.found) / (end_s - start_s), 6),
        "n_frames": len(tally.found),
        "n_found": sum(tally.found),
        "video_start_s": start_s,
        "video_end_s": end_s,
        "crop_x_px": float(square.x),
        "crop_y_px": float(square.y),
        "crop_side_px": float(square.side),
        "crop_px": square.stored_px,
        "interocular_px": float(np.float32(np.median(tally.interocular_px))),
        "declared_frames": video.declared_frames or None,
        "n_mouth_covered": sum(tally.covered()),
        "longest_frame_s": max([end_s - video.times_s[-1], *np.diff(video.times_s).tolist()]),
        "frames_sha256": sha256_of(target),
    }
    return Picture(columns, (start_s, end_s), media.video_findings(video) | tally.findings(video))


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
