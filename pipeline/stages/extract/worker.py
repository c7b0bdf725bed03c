"""Decode one take: its video and audio become a clip and two files."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from pipeline import corpora, media
from pipeline.digests import sha256_of
from pipeline.errors import Reject
from pipeline.faces.mediapipe_tasks import TaskTracker
from pipeline.faces.mesh import FaceFinder, MeshTracker, SettlingTracker
from pipeline.params import Extract
from pipeline.records import Clip, Source, Take, rejected
from pipeline.runtime.store import ItemStore, atomic_path
from pipeline.runtime.units import UnitResult
from pipeline.stages.extract.frame_writer import NO_VIDEO, VideoTrack, write_frames

FRAMES = ".frames.parquet"
AUDIO = ".audio.flac"
_TURNED = {"rotated", "wrong_way_up"}


class Job(NamedTuple):
    """One take, the root of its corpus, and the parameters.

    `file_first`: a separate audio file is used rather than the container's track, whatever
    `audio_from` says.
    """

    take: Take
    split: str | None
    root: Path
    section: Extract
    file_first: bool = False


class Tools:
    """The face models of one worker, loaded when the first video needs them.

    Parameters
    ----------
    task
        The content of a task file, None for the mesh inside mediapipe.
    """

    def __init__(self, task: bytes | None = None) -> None:
        media.use_one_thread()
        self._task = task

    @cached_property
    def tracker(self) -> SettlingTracker:
        """The tracker of one face."""
        return MeshTracker() if self._task is None else TaskTracker(self._task)

    @cached_property
    def finder(self) -> FaceFinder:
        """The detector of all faces."""
        return FaceFinder()


def write_take(tools: Tools, store: ItemStore, unit: str, job: Job) -> Clip:
    """Write the frames and audio of a take and return its clip.

    Raises
    ------
    Reject
        If the take cannot be used.
    """
    section, take = job.section, job.take
    policies: dict[str, str] = section.policies.model_dump()
    chosen = _chosen_audio(job, policies)
    video = _video_track(tools, store.path(unit, FRAMES), job)
    voice = media.place_audio(chosen, None if video is None else video.span_s, policies)
    findings = voice.findings | (
        {"no_video"}
        if video is None
        else video.findings | media.change_findings(video.changes, voice.audio)
    )
    media.reject_findings(findings, policies)
    if take.video is None:
        voice.columns["audio_from"] = "audio-only take"
    with atomic_path(store.path(unit, AUDIO)) as path:
        media.write_flac(path, voice.audio.samples, voice.audio.sample_rate_hz)
    return Clip(
        **take.to_row(),
        split=job.split,
        **(NO_VIDEO if video is None else video.columns),
        **voice.columns,
        audio_sha256=sha256_of(store.path(unit, AUDIO)),
        findings=tuple(sorted(findings)),
        repaired=tuple(sorted(voice.repaired | media.to_repair(findings & _TURNED, policies))),
    )


def _chosen_audio(job: Job, policies: dict[str, str]) -> media.Chosen:
    section = job.section
    chosen = media.choose_audio(
        _recordings(job), section.sample_rate_hz, section.max_duration_s, section.silence_db,
        fill_gaps=policies["audio_gap"] != "keep",
        keep={finding for finding, policy in policies.items() if policy == "keep"},
    )  # fmt: skip
    length_s = chosen.used.audio.end_s - chosen.used.audio.start_s
    if length_s < section.min_duration_s:
        raise Reject("few_frames", f"{length_s:.2f} s of audio")
    return chosen


def _recordings(job: Job) -> list[tuple[str, media.OpenSource]]:
    """The take's audio sources (name, how to open it), the preferred one first."""
    sources = [("container", job.take.video), ("file", job.take.audio)]
    first = "file" if job.file_first else job.section.audio_from
    wanted = sorted(sources, key=lambda source: source[0] != first)
    return [(name, partial(_open, job, source)) for name, source in wanted if source is not None]


def _open(job: Job, source: Source) -> AbstractContextManager[media.MediaSource]:
    return corpora.open_source(job.root, source, job.section.max_file_mb << 20)


def _video_track(tools: Tools, target: Path, job: Job) -> VideoTrack | None:
    if job.take.video is None:
        return None
    with _open(job, job.take.video) as opened:
        return write_frames(opened, target, (tools.tracker, tools.finder), job.section)


GRAIN = "take"


def extract_take(tools: Tools, store: ItemStore, unit: str, job: Job) -> UnitResult:
    """Extract one take; the result depends on its files and parameters only."""
    try:
        clip = write_take(tools, store, unit, job)
    except Reject as reject:
        store.path(unit, FRAMES).unlink(missing_ok=True)  # of a pass whose square the head left
        row = rejected("extract", GRAIN, job.take.take_id, reject.reason, reject.detail)
        return UnitResult(rejects=[row])
    suffixes = [AUDIO, FRAMES] if clip.has_video else [AUDIO]
    return UnitResult(suffixes, {"clips": [clip.to_row()]})
