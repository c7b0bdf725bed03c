"""Align one speaker's takes: the worker of the stage `align`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import media
from pipeline.errors import Reject
from pipeline.params import Align, SplitRule
from pipeline.records import Clip, SyncTake, rejected
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_table
from pipeline.runtime.units import UnitResult
from pipeline.stages.align.pairs import HeldBack, PairMaker, candidates
from pipeline.stages.align.sentences import name_sentences
from pipeline.stages.align.tracks import Track
from pipeline.stages.align.utterances import Recordings, Samples, group

GRAIN = "clip pair"
_MS = 1000.0


_TRACK_COLUMNS = ("time_s", "duration_s", "mouth_open", "mouth_width")


@dataclass(frozen=True)
class SpeakerJob:
    """The worker's input: one speaker's clips, the folder of their files, offsets by take id."""

    clips: tuple[Clip, ...]
    extracted: Path
    section: Align
    rule: SplitRule
    sync: Mapping[str, SyncTake] = field(default_factory=dict)


def align_speaker(state: None, store: ItemStore, unit: str, speaker: SpeakerJob) -> UnitResult:
    """Resolve one speaker's sentences and pair the takes; a pure function of the clips' files."""
    section = speaker.section
    extracted = ItemStore(speaker.extracted)
    recordings = Recordings(partial(_read_audio, extracted), section.features)
    utterances = group(speaker.clips)
    sentences = name_sentences(utterances, recordings, section, speaker.rule)
    maker = PairMaker(
        recordings, partial(synced_track, extracted, section.audio_fps, speaker.sync), section,
        {row.utterance_id: row.split for row in sentences},
    )  # fmt: skip
    outcome = UnitResult(rows={"sentences": [row.to_row() for row in sentences]})
    made, held_back = list[dict[str, Any]](), list[dict[str, Any]]()
    outcome.rows |= {"pairs": made, "held_back": held_back}
    tried = list(candidates(utterances, sentences, section))
    outcome.rows["planned"] = [{"n": len(tried)}]
    for candidate in tried:
        try:
            made.append(maker.make(candidate).to_row())
        except Reject as reject:
            if isinstance(reject, HeldBack):
                measured = asdict(reject.measured)
                held_back.append({"pair_id": candidate.id, **measured})
            outcome.rejects.append(
                rejected("align", GRAIN, candidate.id, reject.reason, reject.detail)
            )
    return outcome


def _item(clip: Clip) -> str:
    return f"{clip.speaker}/{clip.take_id}"


def _read_audio(extracted: ItemStore, clip: Clip) -> Samples:
    return media.read_flac(extracted.path(_item(clip), ".audio.flac"))


def read_track(extracted: ItemStore, audio_fps: float, clip: Clip) -> Track:
    """Instants and mouths of a clip's frames, as filmed; audio-only takes get `audio_fps`."""
    if not clip.has_video:
        n = int((clip.audio_end_s - clip.audio_start_s) * audio_fps)
        return Track((np.arange(n) + 0.5) / audio_fps, np.full(n, np.nan), np.full(n, np.nan))
    table = read_table(extracted.path(_item(clip), ".frames.parquet"), columns=_TRACK_COLUMNS)
    start, duration, opening, width = (
        table[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in _TRACK_COLUMNS
    )
    return Track(start + duration / 2 - clip.audio_start_s, opening, width)


def synced_track(
    extracted: ItemStore, audio_fps: float, sync: Mapping[str, SyncTake], clip: Clip
) -> Track:
    """The frames of a clip at the instants of its audio that they show."""
    track, found = read_track(extracted, audio_fps, clip), sync.get(clip.take_id)
    if found is None:
        return track
    late_s = found.applied_ms / _MS
    error_s = None if found.remaining_ms is None else found.remaining_ms / _MS
    return replace(track, instants_s=track.instants_s - late_s, late_s=late_s, error_s=error_s)
