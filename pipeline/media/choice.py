"""Which of a take's sounds is used: the container's own track, or the file beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from pipeline.errors import Reject
from pipeline.media.container import MediaSource
from pipeline.media.sound import Sound, decode_sound

OpenSource = Callable[[], AbstractContextManager[MediaSource]]


class Chosen(NamedTuple):
    """The sound used, the name of where it came from, and whether it was the first choice."""

    sound: Sound
    name: str
    is_first: bool


def choose_sound(
    candidates: Sequence[tuple[str, OpenSource]],
    rate_hz: int,
    max_duration_s: float,
    silence_db: float,
) -> Chosen:
    """The first of the candidates (name, how to open it) that holds sound above `silence_db`.

    Raises
    ------
    Reject
        What is wrong with the first candidate that holds any sound: silent, unreadable, truncated,
        too_large; no_sound where none does.
    """
    problems: list[Reject] = []
    for k, (name, open_it) in enumerate(candidates):
        try:
            with open_it() as source:
                sound = decode_sound(source, rate_hz, max_duration_s)
        except Reject as reject:
            problems.append(reject)
            continue
        if sound is not None and sound.peak_db >= silence_db:
            return Chosen(sound, name, k == 0)
        if sound is not None:
            problems.append(
                Reject(
                    "silent", f"the {name}'s sound peaks at {sound.peak_db:.0f} dB of full scale"
                )
            )
    if problems:
        raise problems[0]
    raise Reject("no_sound", "there is no sound track, nor a file of sound")
