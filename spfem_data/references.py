"""Real frames of an emotion, by the same speaker or another: the references of the papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from spfem_data.conditions import Condition
from spfem_data.datasets import ColumnReader
from spfem_data.groups import GroupIndex, joined
from spfem_data.images import ImageFormat
from spfem_data.labels import EMOTIONS
from spfem_data.rng import I64, KeyedRng

TIGHT = ImageFormat(size=256, values="-1..1")
"""The size of SSERD 4.1 and the value range of StyleGAN."""

SEVEN: Condition = ("emotion", "in", list(EMOTIONS))
Whose = Literal["same", "other", "any"]


class References:
    """Real frames by emotion, of the same speaker or of others."""

    def __init__(self, frames: ColumnReader) -> None:
        speakers, emotions = list(frames.values("speaker")), list(frames.values("emotion"))
        self._of_speaker = GroupIndex(joined(speakers, emotions), [""] * len(speakers))
        self._of_emotion = GroupIndex(emotions, speakers)
        present = sorted(set(zip(speakers, emotions, strict=True)))
        complete = self.both([s for s, _ in present], [e for _, e in present])
        self.choices: dict[str, list[str]] = {}
        """By speaker: the emotions that have both references."""
        for (speaker, emotion), both in zip(present, complete.tolist(), strict=True):
            if both:
                self.choices.setdefault(speaker, []).append(emotion)

    def both(self, speakers: list[str], emotions: list[str]) -> NDArray[np.bool_]:
        """Whether each sample (n,) has a reference by the same speaker and one by another."""
        own = self._of_speaker.counts(joined(speakers, emotions)) > 0
        return own & (self._of_emotion.counts(emotions, speakers) > 0)

    def counts(self, whose: Whose, speakers: list[str], emotions: list[str]) -> I64:
        """Number of references (n,) of each sample."""
        if whose == "same":
            return self._of_speaker.counts(joined(speakers, emotions))
        return self._of_emotion.counts(emotions, speakers if whose == "other" else None)

    def sample(self, rng: KeyedRng, whose: Whose, speakers: list[str], emotions: list[str]) -> I64:
        """A random reference (n,) for each sample."""
        purpose = f"reference {whose}"
        if whose == "same":
            return self._of_speaker.sample(rng, purpose, joined(speakers, emotions))
        excluded = speakers if whose == "other" else None
        return self._of_emotion.sample(rng, purpose, emotions, excluded)


def labels(emotions: Sequence[str]) -> torch.Tensor:
    """Emotions as their indices (n,) in `EMOTIONS`, int64."""
    return torch.tensor([EMOTIONS.index(emotion) for emotion in emotions], dtype=torch.int64)
