"""Rows of clips, pairs and sentences that need no files."""

from __future__ import annotations

from dataclasses import replace

from pipeline.records import Clip, Pair, PosedPair, Sentence
from tests.builders.dataset import make_pair, make_sentence

_CLIP = Clip(
    take_id="x", utterance_id="x", dataset="made", speaker="S1", emotion="neutral", level=1,
    view="front", take="001", sentence=None, sentence_source=None, video_path="v",
    video_member=None, audio_path=None, audio_member=None, split="train", width_px=320,
    height_px=320, fps=25.0, n_frames=20, n_found=20, video_start_s=0.0, video_end_s=0.8,
    audio_start_s=0.0, audio_end_s=0.8, audio_from="container", crop_x_px=0.0, crop_y_px=0.0,
    crop_side_px=320.0, crop_px=256, interocular_px=80.0, frames_sha256="0", audio_sha256="0",
    findings=(),
)  # fmt: skip


def clip(speaker: str, emotion: str, take: str = "001", **changes: object) -> Clip:
    """A clip whose ids follow MEAD's."""
    level = changes.get("level", 1)
    view = changes.get("view", "front")
    names = {
        "take_id": f"{speaker}_{emotion}_{level}_{view}_{take}",
        "utterance_id": f"{speaker}_{emotion}_{level}_{take}",
    }
    return replace(_CLIP, speaker=speaker, emotion=emotion, take=take, **{**names, **changes})


def pair(a: Clip, b: Clip, frames: int = 4, **changes: object) -> Pair:
    """A pair of the first frames, one to one."""
    made = make_pair(a, b, [(k, k) for k in range(frames)], "train")
    return replace(made, **{"pair_id": f"{a.take_id}--{b.take_id}", **changes})


def sentence(clip: Clip, **changes: object) -> Sentence:
    """What align says of a clip's utterance."""
    return replace(make_sentence(clip, "train"), **changes)


def posed(pair: Pair, before: float | None, after: float | None) -> PosedPair:
    """A pair after pose."""
    return PosedPair(
        pair.pair_id, pair.speaker, len(pair.frame_a), len(pair.frame_a), 0, 0, 0, before, after,
        1.0, 2.0, 0.0, 0.1, False, "0",
    )  # fmt: skip
