"""Clips of takes whose audio is made speech, and the pairs that align makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.errors import Reject
from pipeline.params import Align, SplitRule
from pipeline.records import Clip, Pair
from pipeline.stages.align.pairs import PairMaker, candidates
from pipeline.stages.align.sentences import name_sentences
from pipeline.stages.align.tracks import Track
from pipeline.stages.align.utterances import Recordings, group
from tests.builders.speech import RATE_HZ, speak

FPS = 25.0


Speech = tuple[int, float, float]
"""Sentence, tempo, pitch of a take."""


def spoken_clip(emotion: str, take: str, speech: Speech, **changes: Any) -> Clip:
    audio = speak(*speech)
    level = 1 if emotion == "neutral" else 3
    values: dict[str, Any] = {
        "take_id": f"M003_{emotion}_{level}_front_{take}",
        "utterance_id": f"M003_{emotion}_{level}_{take}",
        "dataset": "made", "speaker": "M003", "emotion": emotion, "level": level, "view": "front",
        "take": take, "sentence": None, "sentence_source": None, "video_path": "v.mp4",
        "video_member": None, "audio_path": None, "audio_member": None, "split": None,
        "width_px": 100, "height_px": 100, "fps": FPS, "n_frames": 50, "n_found": 50,
        "video_start_s": 0.0, "video_end_s": 2.0, "audio_start_s": 0.0,
        "audio_end_s": len(audio) / RATE_HZ, "audio_from": "container", "crop_x_px": 0.0,
        "crop_y_px": 0.0, "crop_side_px": 100.0, "crop_px": 100, "interocular_px": 30.0,
        "frames_sha256": "f", "audio_sha256": repr(speech), "findings": (),
    }  # fmt: skip
    return Clip(**{**values, **changes})


def read_speech(clip: Clip) -> Any:
    return speak(*eval(clip.audio_sha256))


def mouth_track(clip: Clip) -> Track:
    instants = (np.arange(int(clip.audio_end_s * FPS)) + 0.5) / FPS
    return Track(instants, np.full(len(instants), np.nan), np.full(len(instants), np.nan))


def made_pairs(
    clips: list[Clip], section: Align, rule: SplitRule, **splits: str
) -> tuple[list[Pair], dict[str, str]]:
    recordings = Recordings(read_speech, section.features)
    sentences = name_sentences(group(clips), recordings, section, rule)
    known = {row.utterance_id: splits.get(row.take, row.split) for row in sentences}
    maker = PairMaker(recordings, mouth_track, section, known)
    made, rejects = [], {}
    for candidate in candidates(group(clips), sentences, section):
        try:
            made.append(maker.make(candidate))
        except Reject as reject:
            rejects[candidate.id] = reject.reason
    return made, rejects
