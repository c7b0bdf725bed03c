"""Measure the offsets of one speaker's takes: the worker of the stage `sync`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from pipeline import media
from pipeline.alignment.sync_model import SyncModel, SyncTrack, correlations, learn, sync_track
from pipeline.alignment.sync_offsets import Offset, agree, pooled
from pipeline.alignment.types import FloatArray
from pipeline.records import Clip
from pipeline.runtime.store import ItemStore
from pipeline.runtime.units import UnitResult
from pipeline.takes.frame_file import read_columns


@dataclass(frozen=True)
class SpeakerJob:
    """The worker's input: one speaker's clips and the folder of their files."""

    clips: tuple[Clip, ...]
    extracted: Path


@dataclass(frozen=True, eq=False)
class _Measured:
    """A take whose mouth is visible, and its correlation at each lag."""

    clip: Clip
    correlation: FloatArray
    seconds: float


def session_of(clip: Clip) -> str:
    """The recording session: the takes of one speaker, emotion and level, in all views."""
    return f"{clip.speaker}_{clip.emotion}_{clip.level}"


def load_model(clips: Sequence[Clip], extracted: Path, ridge: float) -> SyncModel:
    """The regression learnt on some clips of the dataset: the setup of every worker process."""
    tracks, sessions = list[SyncTrack](), list[str]()
    for clip in clips:
        track = _track(extracted, clip)
        if track is not None:
            tracks.append(track)
            sessions.append(session_of(clip))
    return learn(tracks, sessions, ridge)


def measure_speaker(
    model: SyncModel, store: ItemStore, unit: str, speaker: SpeakerJob
) -> UnitResult:
    """Measure every take of a speaker, and what takes of a session have in common.

    Offsets are those of the model, whose zero is arbitrary.
    """
    rows: dict[str, list[dict[str, Any]]] = {"takes": [], "groups": []}
    clips = sorted(speaker.clips, key=lambda clip: (session_of(clip), clip.take_id))
    for session, takes in groupby(clips, key=session_of):
        weights = model.weights(session)
        measured = []
        for clip in takes:
            track = _track(speaker.extracted, clip)
            if track is not None:
                correlation = correlations(track, weights)
                measured.append(_Measured(clip, correlation, track.seconds))
                own = pooled([correlation], [track.seconds])
                rows["takes"].append({"take_id": clip.take_id, **asdict(own)})
        rows["groups"] += _groups(measured)
    return UnitResult(rows=rows)


def _groups(measured: Sequence[_Measured]) -> Iterator[dict[str, Any]]:
    """One row per group of takes that share an offset: the session, else its views, else takes."""
    if measured and _agree(measured):
        yield _group("session", "", measured)
        return
    by_view = sorted(measured, key=lambda take: (take.clip.view, take.clip.take_id))
    views = [(view, list(found)) for view, found in groupby(by_view, key=lambda t: t.clip.view)]
    for view, takes in views:
        if len(views) > 1 and _agree(takes):
            yield _group("view", view, takes)
        else:
            for take in takes:
                yield _group("take", take.clip.take_id, [take])


def _agree(takes: Sequence[_Measured]) -> bool:
    return agree([take.correlation for take in takes], [take.seconds for take in takes])


def _group(kind: str, part: str, takes: Sequence[_Measured]) -> dict[str, Any]:
    common: Offset = pooled([take.correlation for take in takes], [take.seconds for take in takes])
    ids = [take.clip.take_id for take in takes]
    return {"pooled": kind, "part": part, "take_ids": ids, **asdict(common)}


def _track(extracted: Path, clip: Clip) -> SyncTrack | None:
    if not clip.has_video:
        return None
    item, files = f"{clip.speaker}/{clip.take_id}", ItemStore(extracted)
    columns = read_columns(
        files.path(item, ".frames.parquet"), ("time_s", "duration_s", "mouth_open")
    )
    instants_s = columns["time_s"] + columns["duration_s"] / 2 - clip.audio_start_s
    samples = media.read_flac(files.path(item, ".audio.flac"))
    return sync_track(samples, instants_s, columns["mouth_open"])
