"""Real frames that show an emotion, of the same speaker or of another: the papers' references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from spfem_data.datasets import Rows
from spfem_data.groups import Pool, joined
from spfem_data.images import ImageFormat
from spfem_data.labels import EMOTIONS
from spfem_data.reader import Condition
from spfem_data.rng import I64, Draws

TIGHT = ImageFormat(size=256, values="-1..1")
"""SSERD 4.1; a StyleGAN's range."""

SEVEN: Condition = ("emotion", "in", list(EMOTIONS))
Whose = Literal["same", "other", "any"]


class References:
    """Real frames by emotion, of the same speaker or of others."""

    def __init__(self, frames: Rows) -> None:
        speakers, emotions = list(frames.values("speaker")), list(frames.values("emotion"))
        self._of_speaker = Pool(joined(speakers, emotions), [""] * len(speakers))
        self._of_emotion = Pool(emotions, speakers)
        present = sorted(set(zip(speakers, emotions, strict=True)))
        able = self.both([s for s, _ in present], [e for _, e in present])
        self.choices: dict[str, list[str]] = {}
        for (speaker, emotion), both in zip(present, able.tolist(), strict=True):
            if both:
                self.choices.setdefault(speaker, []).append(emotion)

    def both(self, speakers: list[str], emotions: list[str]) -> NDArray[np.bool_]:
        """Whether there is one of the same speaker and one of another."""
        own = self._of_speaker.counts(joined(speakers, emotions)) > 0
        return own & (self._of_emotion.counts(emotions, speakers) > 0)

    def counts(self, whose: Whose, speakers: list[str], emotions: list[str]) -> I64:
        """How many there are for each sample."""
        if whose == "same":
            return self._of_speaker.counts(joined(speakers, emotions))
        return self._of_emotion.counts(emotions, speakers if whose == "other" else None)

    def draw(self, draws: Draws, whose: Whose, speakers: list[str], emotions: list[str]) -> I64:
        """One for each sample."""
        purpose = f"reference {whose}"
        if whose == "same":
            return self._of_speaker.draw(draws, purpose, joined(speakers, emotions))
        avoided = speakers if whose == "other" else None
        return self._of_emotion.draw(draws, purpose, emotions, avoided)


def labels(emotions: Sequence[str]) -> torch.Tensor:
    """Emotions as their places in `schema.EMOTIONS`, int64."""
    return torch.tensor([EMOTIONS.index(emotion) for emotion in emotions], dtype=torch.int64)
