"""What following a face through a take gave beside its frames, and what is odd about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.faces.crop import FaceBox, Square, size_of, square_for
from pipeline.faces.occlusion import is_covered
from pipeline.media import Video, standstills

_LESSER = 1 / 3  # a face smaller than this share of the largest does not count
_LOST_S = 0.2
_COVERED_FRAMES = 3


@dataclass
class Tally:
    """What following a take gave beside the rows of its frames.

    `faces` are the boxes of the face followed, `counts` how many faces there were at the instants
    at which they were counted, `elsewhere` what the whole frame showed while the face was lost,
    `skins` the colours around the mouth where a face was found, `changes` how much the stored crop
    differs from the one before it (levels, on average), infinite where there is no face or no crop.
    """

    square: Square
    faces: list[FaceBox] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    interocular_px: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    elsewhere: list[FaceBox] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    skins: list[NDArray[np.uint8]] = field(default_factory=list)
    jumps: int = 0
    near_edge: int = 0

    def count(self, faces: Sequence[FaceBox]) -> None:
        """Count faces, the largest first; much smaller ones are posters or mistakes."""
        self.counts.append(sum(size_of(face) >= _LESSER * size_of(faces[0]) for face in faces))

    @property
    def is_crowded(self) -> bool:
        """Whether several faces were counted, at more than one instant or at the only one."""
        several = sum(count > 1 for count in self.counts)
        return several > 0 and several >= min(2, len(self.counts))

    def covered(self) -> list[bool]:
        """Whether something seems to be before the mouth, a frame each."""
        covered = np.zeros(len(self.found), bool)
        if self.skins:
            covered[np.array(self.found)] = is_covered(np.array(self.skins))
        return [bool(value) for value in covered]

    @property
    def holds(self) -> bool:
        """Whether the square held every face that was found anywhere in the frame."""
        return all(self.square.holds(face) for face in self._wanted())

    def wider(self, margin: float, max_px: int) -> Square:
        """The square that would have held."""
        return square_for(self._wanted(), margin, max_px)

    def _wanted(self) -> list[FaceBox]:
        """What the square must hold; in company nobody knows whose face is elsewhere."""
        return self.faces if self.is_crowded else self.faces + self.elsewhere

    def findings(self, video: Video) -> set[str]:
        """Findings on the face; slugs of media.FINDINGS."""
        marks = {
            "several_faces": self.is_crowded,
            "face_passes": max(self.counts, default=0) > 1 and not self.is_crowded,
            "face_comes_and_goes": _longest_loss_s(video.times_s, self.found) >= _LOST_S,
            "mouth_covered": sum(self.covered()) >= _COVERED_FRAMES,
            "face_jumps": self.jumps > 0,
            "face_near_edge": self.near_edge > 0,
            "head_leaves_crop": not self.holds,
        }
        found = {name for name, present in marks.items() if present}
        return found | standstills(video.times_s, video.end_s, self.changes)


def _longest_loss_s(times_s: list[float], found: list[bool]) -> float:
    """The longest time from a frame without a face to the next with one, or to the last frame."""
    longest_s, lost_s = 0.0, None
    for time_s, is_found in zip(times_s, found, strict=True):
        if not is_found and lost_s is None:
            lost_s = time_s
        if lost_s is not None:
            longest_s = max(longest_s, time_s - lost_s)
        if is_found:
            lost_s = None
    return longest_s
