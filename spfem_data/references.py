"""Real frames of an emotion, by the same speaker or another: the references of the papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from spfem_data.conditions import Condition
from spfem_data.datasets import ColumnReader
from spfem_data.images import ImageFormat
from spfem_data.labels import EMOTIONS
from spfem_data.rng import I64, KeyedRng

Range = tuple[int, int]
"""Start and size."""
_EMPTY: Range = (0, 0)


class GroupIndex:
    """Rows by group, and within a group by kind.

    Parameters
    ----------
    groups
        (n,) of each row: what a partner must share with the sample.
    kinds
        (n,) of each row: what a partner must not share, if requested.
    """

    def __init__(self, groups: Sequence[str], kinds: Sequence[str]) -> None:
        order = sorted(range(len(groups)), key=lambda k: (groups[k], kinds[k], k))
        self._rows = np.array(order, np.int64)
        self._groups: dict[str, Range] = {}
        self._kinds: dict[tuple[str, str], Range] = {}
        for place, row in enumerate(order):
            group, kind = groups[row], kinds[row]
            start, size = self._groups.get(group, (place, 0))
            self._groups[group] = (start, size + 1)
            start, size = self._kinds.get((group, kind), (place, 0))
            self._kinds[group, kind] = (start, size + 1)

    def counts(self, groups: Sequence[str], other_than: Sequence[str] | None = None) -> I64:
        """Number of candidates (n,) of each sample."""
        (_, sizes), (_, excluded) = self._ranges(groups, other_than)
        return np.asarray(sizes - excluded)

    def sample(
        self,
        rng: KeyedRng,
        purpose: str,
        groups: Sequence[str],
        other_than: Sequence[str] | None = None,
    ) -> I64:
        """A random row (n,) of each sample's group, of a kind other than `other_than`.

        Each sample must have a candidate: see `counts`.
        """
        (starts, sizes), (skipped, excluded) = self._ranges(groups, other_than)
        places = starts + rng.below(purpose, sizes - excluded)
        places += np.where(places >= skipped, excluded, 0)
        return np.asarray(self._rows[places])

    def _ranges(self, groups: Sequence[str], other_than: Sequence[str] | None) -> tuple[I64, I64]:
        """Start and size of each sample's group, and of the excluded kind in it: (2, n) each."""
        whole = [self._groups.get(group, _EMPTY) for group in groups]
        if other_than is None:
            return _columns(whole), _columns([_EMPTY] * len(whole))
        keys = zip(groups, other_than, strict=True)
        return _columns(whole), _columns([self._kinds.get(key, _EMPTY) for key in keys])


def _columns(ranges: list[Range]) -> I64:
    return np.array(ranges, np.int64).reshape(-1, 2).T


def joined(*columns: Sequence[str]) -> list[str]:
    """One group name per row from several columns."""
    return ["\0".join(map(str, row)) for row in zip(*columns, strict=True)]


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
