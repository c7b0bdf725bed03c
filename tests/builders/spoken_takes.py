"""Takes with a sentence and a split, without files."""

from __future__ import annotations

from dataclasses import replace

from pipeline.stages.shards.shard_plan import SpokenTake
from tests.builders.pair_lists import clip, sentence


def spoken_take(
    speaker: str, emotion: str, number: str, said: str, split: str = "test"
) -> SpokenTake:
    made = clip(emotion, number, 1, "front")
    made = replace(
        made,
        speaker=speaker,
        take_id=f"{speaker}_{emotion}_{number}",
        utterance_id=f"{speaker}_{emotion}_{number}",
        n_frames=40,
        n_found=40,
        frames_sha256="0" * 64,
    )
    return SpokenTake(made, sentence(made, said), split)
