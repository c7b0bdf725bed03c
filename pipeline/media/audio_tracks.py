"""Which audio track of a file is used, and which of its channels: the ones with speech."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Reject
from pipeline.media.audio import Audio, decode_audio
from pipeline.media.audio_offset import SAME_RECORDING, match
from pipeline.media.container import audio_tracks
from pipeline.media.file_kind import MediaSource

OpenSource = Callable[[], AbstractContextManager[MediaSource]]

_CANCELS = -0.5
_UNLIKE = 0.3
_AUDIBLE_POWER = 10**-2.0  # 20 dB below the loudest channel
_SPEECH_RANGE_DB = 12.0
"""Between soft and loud parts. Takes of MEAD and RAVDESS have 25 to 60, steady noise 1 to 3, tones
and time code less than 1."""


class Speech(NamedTuple):
    """Decoded audio, and the findings on its track and channels."""

    audio: Audio
    findings: frozenset[str]


@dataclass(frozen=True)
class Decoder:
    """How one file is decoded: the arguments of `decode_audio`, and `silence_db`."""

    open_it: OpenSource
    rate_hz: int
    max_duration_s: float
    silence_db: float
    fill_gaps: bool

    def decode(self, track: int | None, channel: int | None = None) -> Audio | None:
        """One track, or one channel of it."""
        with self.open_it() as source:
            return decode_audio(
                source, self.rate_hz, self.max_duration_s, fill_gaps=self.fill_gaps,
                track=track, channel=channel,
            )  # fmt: skip

    def is_audible(self, audio: Audio) -> bool:
        """Whether the peak reaches `silence_db`."""
        return audio.peak_db >= self.silence_db


def decode_speech(decoder: Decoder, keep: Collection[str] = ()) -> Speech | None:
    """Decode the track and channels of a file that hold speech; None if it has no audio.

    Tracks marked as commentary, descriptions or dubbing are ignored if there are others, and so are
    silent and damaged ones. If two of the rest are of different recordings, the one whose level
    varies more is used. Channels are averaged unless they cancel or differ: then one channel is
    used.

    Parameters
    ----------
    keep
        Findings that are reported without changing what is decoded.

    Raises
    ------
    Reject
        If no track can be used: unreadable, truncated, too_large.
    """
    with decoder.open_it() as source:
        tracks, n_tracks = audio_tracks(source)
    usable: list[Speech] = []
    faults: list[Reject] = []
    choices: list[int | None] = [*tracks]
    for track in choices or [None]:
        try:
            speech = _decode_track(decoder, track, keep)
        except Reject as reject:
            faults.append(reject)
        else:
            usable += [] if speech is None else [speech]
    if not usable and faults:
        raise faults[0]
    if not usable:
        return None
    audible = [speech for speech in usable if decoder.is_audible(speech.audio)] or usable[:1]
    best, rivals = _most_speech([speech.audio for speech in audible])
    several = {"several_tracks"} if n_tracks > 1 else set[str]()
    return Speech(audible[best].audio, audible[best].findings | several | rivals)


def _decode_track(decoder: Decoder, track: int | None, keep: Collection[str]) -> Speech | None:
    mixed = decoder.decode(track)
    if mixed is None or mixed.covariance is None:
        return None if mixed is None else Speech(mixed, frozenset())
    channels, correlation = _audible_channels(mixed)
    pairs = list(combinations(range(len(channels)), 2))
    if any(correlation[one, other] < _CANCELS for one, other in pairs):
        used = mixed if "channels_cancel" in keep else decoder.decode(track, channels[0])
        return None if used is None else Speech(used, frozenset({"channels_cancel"}))
    if all(abs(correlation[one, other]) >= _UNLIKE for one, other in pairs):
        return Speech(mixed, frozenset())
    parts = [part for channel in channels if (part := decoder.decode(track, channel)) is not None]
    if all(_same(parts[0], part) for part in parts[1:]):
        return Speech(mixed, frozenset())
    best, rivals = _most_speech(parts)
    used = mixed if "channels_differ" in keep else parts[best]
    return Speech(used, frozenset({"channels_differ"} | rivals))


def _audible_channels(audio: Audio) -> tuple[list[int], NDArray[np.float64]]:
    """Channels within 20 dB of the loudest, the loudest first, and their correlations (n, n)."""
    assert audio.covariance is not None
    power = np.diag(audio.covariance)
    order = np.argsort(-power, kind="stable")
    channels = [int(c) for c in order if power[c] > 0 and power[c] >= _AUDIBLE_POWER * power.max()]
    scale = np.sqrt(power[channels])
    return channels, audio.covariance[np.ix_(channels, channels)] / np.outer(scale, scale)


def _most_speech(parts: Sequence[Audio]) -> tuple[int, frozenset[str]]:
    """The index of the audio with the most speech; `two_voices` if another is speech as well.

    Recordings of the same thing are no rivals: of those the first is used.
    """
    unlike = [0, *(k for k in range(1, len(parts)) if not _same(parts[0], parts[k]))]
    unlike.sort(key=lambda k: -parts[k].range_db)
    spoken = [k for k in unlike if parts[k].range_db >= _SPEECH_RANGE_DB]
    return unlike[0], frozenset({"two_voices"} if len(spoken) > 1 else ())


def _same(one: Audio, other: Audio) -> bool:
    return match(one, other).quality >= SAME_RECORDING
