"""Which audio source of a take is used: the container's own track, or the separate file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from pipeline.errors import Reject
from pipeline.media.audio import Audio
from pipeline.media.audio_tracks import Decoder, OpenSource, decode_speech


class Heard(NamedTuple):
    """One usable audio source: its name, samples, and findings on its tracks and channels."""

    name: str
    audio: Audio
    findings: frozenset[str] = frozenset()


class Chosen(NamedTuple):
    """The audio source used, whether it was the first choice, and the other one.

    `other_fault` is why the other one cannot be used, if it has audio that cannot be.
    """

    used: Heard
    is_first: bool
    other: Heard | None
    other_fault: Reject | None


def choose_audio(
    candidates: Sequence[tuple[str, OpenSource]],
    rate_hz: int,
    max_duration_s: float,
    silence_db: float,
    *,
    fill_gaps: bool = True,
    keep: Collection[str] = (),
) -> Chosen:
    """The first of the candidates (name, how to open it) whose audio peaks above `silence_db`.

    Parameters
    ----------
    keep
        Findings on tracks and channels that are reported only, see `decode_speech`.

    Raises
    ------
    Reject
        The fault of the first candidate with any audio: silent, unreadable, truncated, too_large;
        no_audio if none has any.
    """
    usable: list[Heard] = []
    faults: list[Reject] = []
    for name, open_it in candidates:
        decoder = Decoder(open_it, rate_hz, max_duration_s, silence_db, fill_gaps)
        try:
            speech = decode_speech(decoder, keep)
            if speech is not None:
                if not decoder.is_audible(speech.audio):
                    level = f"{speech.audio.peak_db:.0f} dB of full scale"
                    raise Reject("silent", f"the audio of the {name} peaks at {level}")
                usable.append(Heard(name, speech.audio, speech.findings))
        except Reject as reject:
            faults.append(reject)
    if usable:
        is_first = usable[0].name == candidates[0][0]
        return Chosen(usable[0], is_first, next(iter(usable[1:]), None), next(iter(faults), None))
    if faults:
        raise faults[0]
    raise Reject("no_audio", "the take has neither an audio track nor an audio file")
