"""Which of a take's sounds is used: the container's own track, or the file beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from pipeline.errors import Reject
from pipeline.media.audio import Sound, decode_sound
from pipeline.media.container import MediaSource

OpenSource = Callable[[], AbstractContextManager[MediaSource]]


class Heard(NamedTuple):
    """One usable sound and the name of where it came from."""

    name: str
    sound: Sound


class Chosen(NamedTuple):
    """The sound used, whether it was the first choice, and the other one.

    `other_fault` is what was wrong with the other one where it holds sound that cannot be used.
    """

    used: Heard
    is_first: bool
    other: Heard | None
    other_fault: Reject | None


def choose_sound(
    candidates: Sequence[tuple[str, OpenSource]],
    rate_hz: int,
    max_duration_s: float,
    silence_db: float,
    *,
    fill_gaps: bool = True,
) -> Chosen:
    """The first of the candidates (name, how to open it) that holds sound above `silence_db`.

    Raises
    ------
    Reject
        What is wrong with the first candidate that holds any sound: silent, unreadable, truncated,
        too_large; no_sound where none does.
    """
    heard: list[Heard] = []
    faults: list[Reject] = []
    for name, open_it in candidates:
        try:
            with open_it() as source:
                sound = decode_sound(source, rate_hz, max_duration_s, fill_gaps=fill_gaps)
            if sound is not None:
                _check_audible(name, sound, silence_db)
                heard.append(Heard(name, sound))
        except Reject as reject:
            faults.append(reject)
    if heard:
        is_first = heard[0].name == candidates[0][0]
        return Chosen(heard[0], is_first, next(iter(heard[1:]), None), next(iter(faults), None))
    if faults:
        raise faults[0]
    raise Reject("no_sound", "there is no sound track, nor a file of sound")


def _check_audible(name: str, sound: Sound, silence_db: float) -> None:
    if sound.peak_db < silence_db:
        said = f"the {name}'s sound peaks at {sound.peak_db:.0f} dB of full scale"
        raise Reject("silent", said)
