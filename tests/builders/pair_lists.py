"""Small pair lists and the tables beside them, made so that every count is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.records import Clip, Pair, Sentence
from pipeline.tools.audit.pairlist import ListedPair

EVEN = [[0, 1, 2, 3], [0, 1, 2, 3]]
STUCK = [list(range(12)) + [11] * 11, list(range(12)) + list(range(12, 23))]


def write(path: Path, content: Any) -> Path:
    """A list as a file."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def listed(take_b: str, frames: list[list[int]], take_a: str = "001", **names: str) -> ListedPair:
    """One listed pair of M003 happy."""
    named = {"speaker": "M003", "emotion": "happy", **names}
    a, b = (np.array(column, np.int64) for column in frames)
    return ListedPair(take_a=take_a, take_b=take_b, frame_a=a, frame_b=b, **named)


def clip(
    emotion: str, take: str, level: int = 3, view: str = "front", speaker: str = "M003"
) -> Clip:
    """A clip of a take of audio alone."""
    utterance = f"{speaker}_{emotion}_{level}_{take}"
    return Clip(
        take_id=f"{speaker}_{emotion}_{level}_{view}_{take}", utterance_id=utterance,
        dataset="made", speaker=speaker, emotion=emotion, level=level, view=view, take=take,
        sentence=None, sentence_source=None, video_path=None, video_member=None,
        audio_path="a.wav", audio_member=None, split="train", width_px=None, height_px=None,
        fps=None, n_frames=0, n_found=0, video_start_s=None, video_end_s=None, audio_start_s=0.0,
        audio_end_s=1.0, audio_from="file", crop_x_px=None, crop_y_px=None, crop_side_px=None,
        crop_px=None, interocular_px=None, frames_sha256=None, audio_sha256="s", findings=(),
    )  # fmt: skip


def pair(a: Clip, b: Clip, frame_a: tuple[int, ...] = (0, 2, 3), slope: float = 1.0) -> Pair:
    """A pair whose time map is one line through 0: instant t of a lies at slope * t of b."""
    n = len(frame_a)
    return Pair(
        pair_id=f"{a.take_id}--{b.take_id}", dataset="made", speaker=b.speaker, view=b.view,
        sentence="c01", split="train", take_a=a.take_id, take_b=b.take_id, emotion_a=a.emotion,
        emotion_b=b.emotion, level_a=a.level, level_b=b.level, sentence_score=0.4,
        sentence_method="audio", odd_span="only_in_a", odd_span_score=0.1, length_ratio=slope,
        n_frames_a=9, n_frames_b=9, coverage=0.5, mouth_agreement=None, sync_a_ms=0.0,
        sync_b_ms=0.0, sync_error_ms=None, frame_a=frame_a,
        frame_b=tuple(i + 1 for i in frame_a), confidence=(1.0,) * n, error_ms=(10.0,) * n,
        run_ms=(0.0,) * n, slope=(slope,) * n, contrast=(1.0,) * n, speech_a=(True,) * n,
        speech_b=(True,) * n, mouth_gap=(None,) * n, knots_a_s=(0.0, 10.0),
        knots_b_s=(0.0, 10.0 * slope),
    )  # fmt: skip


def sentence(of: Clip, says: str | None, anchor: str | None = None) -> Sentence:
    """What the utterance of a clip says."""
    return Sentence(
        utterance_id=of.utterance_id, dataset="made", speaker=of.speaker, emotion=of.emotion,
        level=of.level, take=of.take, sentence=says, method="audio", anchor=anchor, score=0.4,
        margin=0.3, verified=True, split="train",
    )  # fmt: skip
