"""What tracking one face collects in addition to its frames, and the findings that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.faces.crop import FaceBox, Square, size_of, square_for
from pipeline.faces.occlusion import is_covered
from pipeline.media import FrameChanges, Video

_LESSER = 1 / 3  # a face smaller than this share of the largest does not count
_LOST_S = 0.2
_COVERED_FRAMES = 3
_SMALL_PX = 32.0
"""Between the outer eye corners; the face is then some 70 px wide, a third of the mesh's input."""
_MOST_OFF, _FEWEST_MISSED = 0.3, 2
"""Between the detector's keypoints and the mesh. Medians of real and rendered takes are at most
0.08, of heads turned by 65 degrees 0.16. The detector misses 0.4 % of the frames with landmarks."""
_SURE, _SURER = 0.5, 0.1
"""Least mean score of the best orientation, and its lead over the upright one. In 27 real takes no
other orientation comes near the upright one (0.6 to 0.9, against means below 0.35)."""


@dataclass
class TurnVotes:
    """The detector's scores for four orientations, at several instants of a take."""

    scores: list[list[float]] = field(default_factory=list)

    def add(self, scores: list[float]) -> None:
        """Add the scores of one image, see `detection.turn_scores`; images without a face are
        ignored."""
        if max(scores) > 0:
            self.scores.append(scores)

    @property
    def turn(self) -> int:
        """Clockwise quarter turns that bring the face upright; 0 unless the scores are clear."""
        if not self.scores:
            return 0
        means = np.mean(self.scores, axis=0)
        best = int(np.argmax(means))
        return best if means[best] > max(_SURE, means[0] + _SURER) else 0


class FrameChange(NamedTuple):
    """How a frame differs from the one before, see `media.FrameChanges`."""

    image: float = np.inf
    scene: float = np.inf
    surroundings: float = np.inf
    move: float = np.inf
    head: float = np.inf


@dataclass
class TrackStats:
    """What tracking collects in addition to the rows of the frames.

    `faces` are the boxes of the tracked face, `counts` the number of faces at the instants at which
    they were counted, `elsewhere` the faces of the whole frame while none was tracked, `skins` the
    colours around the mouth per frame with a face, `poses` its (yaw, pitch, mouth opening),
    `keypoint_errors` the distances of the mesh from what the detector sees, infinite where it sees
    no face, `outside` the number of frames whose landmarks were dropped because too many of them
    are outside the image. `images` to `heads` compare each frame with the one before, see
    `media.FrameChanges`.
    """

    square: Square
    votes: TurnVotes = field(default_factory=TurnVotes)
    faces: list[FaceBox] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    interocular_px: list[float] = field(default_factory=list)
    poses: list[tuple[float, float, float]] = field(default_factory=list)
    keypoint_errors: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    elsewhere: list[FaceBox] = field(default_factory=list)
    skins: list[NDArray[np.uint8]] = field(default_factory=list)
    images: list[float] = field(default_factory=list)
    scenes: list[float] = field(default_factory=list)
    surroundings: list[float] = field(default_factory=list)
    moves: list[float] = field(default_factory=list)
    heads: list[float] = field(default_factory=list)
    jumps: int = 0
    near_edge: int = 0
    outside: int = 0

    def count(self, faces: Sequence[FaceBox]) -> None:
        """Count faces, the largest first; much smaller ones are posters or false detections."""
        self.counts.append(sum(size_of(face) >= _LESSER * size_of(faces[0]) for face in faces))

    def add_change(self, change: FrameChange) -> None:
        """Add how a frame differs from the one before."""
        self.images.append(change.image)
        self.scenes.append(change.scene)
        self.surroundings.append(change.surroundings)
        self.moves.append(change.move)
        self.heads.append(change.head)

    def changes(self, video: Video) -> FrameChanges:
        """The differences between frames, with their times."""
        return FrameChanges(
            video.times_s, video.end_s,
            self.images, self.scenes, self.surroundings, self.moves, self.heads,
        )  # fmt: skip

    @property
    def is_crowded(self) -> bool:
        """Whether several faces were counted, at more than one instant or at the only one."""
        several = sum(count > 1 for count in self.counts)
        return several > 0 and several >= min(2, len(self.counts))

    @property
    def is_unconfirmed(self) -> bool:
        """Whether the detector sees no face, at more than one instant, or another than the mesh."""
        n = len(self.keypoint_errors)
        if n == 0:
            return False
        median = sorted(self.keypoint_errors)[(n - 1) // 2]
        return median > _MOST_OFF and (bool(np.isfinite(median)) or n >= _FEWEST_MISSED)

    def covered(self) -> list[bool]:
        """Whether something seems to cover the mouth, per frame."""
        covered = np.zeros(len(self.found), bool)
        if self.skins:
            covered[np.array(self.found)] = is_covered(np.array(self.skins), np.array(self.poses))
        return [bool(value) for value in covered]

    @property
    def holds(self) -> bool:
        """Whether the square contains every face found anywhere in the frames."""
        return all(self.square.holds(face) for face in self._wanted())

    def wider(self, margin: float, max_px: int) -> Square:
        """The square that would have contained them."""
        return square_for(self._wanted(), margin, max_px)

    def _wanted(self) -> list[FaceBox]:
        """What the square must contain; with several people, whose face is elsewhere is unknown."""
        return self.faces if self.is_crowded else self.faces + self.elsewhere

    def findings(self, video: Video) -> set[str]:
        """Findings on the face; slugs of media.FINDINGS."""
        marks = {
            "several_faces": self.is_crowded,
            "face_passes": max(self.counts, default=0) > 1 and not self.is_crowded,
            "face_comes_and_goes": _longest_loss_s(video.times_s, self.found) >= _LOST_S,
            "wrong_way_up": self.votes.turn != 0,
            "landmarks_unconfirmed": self.is_unconfirmed,
            "face_outside": self.outside > 0,
            "small_face": bool(self.interocular_px) and np.median(self.interocular_px) < _SMALL_PX,
            "mouth_covered": sum(self.covered()) >= _COVERED_FRAMES,
            "face_jumps": self.jumps > 0,
            "face_near_edge": self.near_edge > 0,
            "head_leaves_crop": not self.holds,
        }
        return {name for name, present in marks.items() if present}


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
