"""The `_frame_info.txt` tree that NED's and SCMCL's trainers read.

A folder a speaker: `videos/_frame_info.txt` names its takes with their numbers of frames, one a
line (`neutral_001_0 123`); `images/<part>/<frame>.png` holds all their frames under numbers that
count on from take to take, 50 a part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2

from pipeline.runtime.store import write_bytes
from pipeline.tools.export.framed_takes import Footage

_FRAMES_A_PART = 50


@dataclass(frozen=True)
class Written:
    """What an export wrote."""

    takes: int
    frames: int


def write_tree(
    folder: Path, takes: Sequence[Footage], step: Callable[[], None] = lambda: None
) -> Written:
    """Write the tree of all speakers below `folder`; `step` is called after each take."""
    frames = 0
    for speaker, theirs in groupby(takes, key=lambda take: take.clip.speaker):
        frames += _write_speaker(folder / speaker, list(theirs), step)
    return Written(len(takes), frames)


def _write_speaker(folder: Path, takes: Sequence[Footage], step: Callable[[], None]) -> int:
    number, lines = 0, []
    for name, take in zip(names(takes), takes, strict=True):
        first = number
        for picture in take.pictures(range(take.clip.n_frames)):
            part = folder / "images" / f"{number // _FRAMES_A_PART:06d}"
            ok, content = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            assert ok
            write_bytes(part / f"{number:06d}.png", content.tobytes())
            number += 1
        lines.append(f"{name} {number - first}\n")
        step()
    write_bytes(folder / "videos" / "_frame_info.txt", "".join(lines).encode())
    return number


def names(takes: Sequence[Footage]) -> list[str]:
    """`<emotion>_<take>_<k>` of each: k counts takes of one name, which differ in their level."""
    found: dict[str, int] = {}
    given = []
    for take in takes:
        name = f"{take.clip.emotion}_{take.clip.take}"
        given.append(f"{name}_{found.get(name, 0)}")
        found[name] = found.get(name, 0) + 1
    return given
