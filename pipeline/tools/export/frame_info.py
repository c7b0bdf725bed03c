"""The `_frame_info.txt` tree that NED's and SCMCL's trainers read.

One folder per speaker: `videos/_frame_info.txt` lists its takes with their numbers of frames, one
per line (`neutral_001_0 123`). `images/<part>/<frame>.png` are the frames of all takes, numbered
consecutively, 50 per part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2

from pipeline.runtime.store import write_bytes
from pipeline.tools.export.framed_takes import FramedTake

_FRAMES_PER_PART = 50


@dataclass(frozen=True)
class Written:
    """Counts of an export."""

    takes: int
    frames: int


def write_tree(
    folder: Path, takes: Sequence[FramedTake], step: Callable[[], None] = lambda: None
) -> Written:
    """Write the tree of all speakers to `folder`; `step` is called after each take."""
    frames = 0
    for speaker, theirs in groupby(takes, key=lambda take: take.clip.speaker):
        frames += _write_speaker(folder / speaker, list(theirs), step)
    return Written(len(takes), frames)


def _write_speaker(folder: Path, takes: Sequence[FramedTake], step: Callable[[], None]) -> int:
    number, lines = 0, []
    for name, take in zip(names(takes), takes, strict=True):
        first = number
        for image in take.images(range(take.clip.n_frames)):
            part = folder / "images" / f"{number // _FRAMES_PER_PART:06d}"
            ok, content = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            assert ok
            write_bytes(part / f"{number:06d}.png", content.tobytes())
            number += 1
        lines.append(f"{name} {number - first}\n")
        step()
    write_bytes(folder / "videos" / "_frame_info.txt", "".join(lines).encode())
    return number


def names(takes: Sequence[FramedTake]) -> list[str]:
    """`<emotion>_<take>_<k>` of each take; k distinguishes takes of equal names."""
    found: dict[str, int] = {}
    given = []
    for take in takes:
        name = f"{take.clip.emotion}_{take.clip.take}"
        given.append(f"{name}_{found.get(name, 0)}")
        found[name] = found.get(name, 0) + 1
    return given
