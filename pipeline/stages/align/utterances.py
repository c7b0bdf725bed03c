"""The takes of one speaker, grouped into utterances: spoken once, filmed in one or more views."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pipeline.alignment.features import TakeFeatures, take_features
from pipeline.params import AlignFeatures
from pipeline.records import Clip

Samples = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
ReadAudio = Callable[[Clip], Samples]


@dataclass(frozen=True)
class Utterance:
    """One spoken sentence; `clips` are its views, the reference view first."""

    clips: tuple[Clip, ...]

    @property
    def reference(self) -> Clip:
        """The clip whose audio represents the utterance."""
        return self.clips[0]

    @property
    def id(self) -> str:
        """The utterance's id."""
        return self.reference.utterance_id

    @property
    def emotion(self) -> str:
        """The emotion recorded."""
        return self.reference.emotion

    @cached_property
    def by_view(self) -> dict[str, Clip]:
        """The clips by their view."""
        return {clip.view: clip for clip in self.clips}


def group(clips: Iterable[Clip]) -> list[Utterance]:
    """Utterances sorted by id; the reference is the front view, else the first by name."""
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(clip.utterance_id, []).append(clip)
    return [
        Utterance(tuple(sorted(found, key=lambda c: (c.view != "front", c.view))))
        for _, found in sorted(groups.items())
    ]


class Recordings:
    """Audio features of clips, computed once per distinct audio."""

    def __init__(self, read: ReadAudio, params: AlignFeatures) -> None:
        self._read = read
        self._params = params
        self._known: dict[str, TakeFeatures] = {}

    def features(self, clip: Clip) -> TakeFeatures:
        """Features of a clip's 16 kHz audio."""
        if clip.audio_sha256 not in self._known:
            self._known[clip.audio_sha256] = take_features(self._read(clip), self._params)
        return self._known[clip.audio_sha256]

    def samples(self, clip: Clip) -> Samples:
        """A clip's 16 kHz audio; not cached."""
        return self._read(clip)


def duration_s(clip: Clip) -> float:
    """Length of a clip's audio in seconds."""
    return clip.audio_end_s - clip.audio_start_s


def length_ratio(a: Clip, b: Clip) -> float:
    """Length of b's audio divided by that of a's."""
    return duration_s(b) / duration_s(a)
