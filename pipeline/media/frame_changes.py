"""How each frame of a take differs from the one before: freezes, repeated frames and cuts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from pipeline.media.audio import Audio

_STILL, _STILL_SHARE = 0.05, 0.25  # of 37 takes six frames, each alone
_STILL_MOVE = 0.001
"""Interocular distances. Landmarks of frozen real takes move by 0.0002 to 0.0006 after coding,
those of speaking ones by more than 0.0011 within any 0.2 s, unless coded so low that nothing
changes."""
_FROZEN_S = 0.2
_FROZEN_FRAMES = 3
_SPEECH_SHARE = 0.5
_DOUBLED_SHARE, _DOUBLED_FRAMES = 0.02, 3
_CUT_LEVELS, _CUT_RATIO = 1.2, 4.0
"""A cut to another scene differs by so many grey levels and by so many times more than its
neighbours. In 27 real takes of one shot the ratio is at most 2.0, in the demo, where a hand covers
the mouth at once, 3.2; another person gives 25."""
_JUMP_RATIO, _JUMP_FLOORS = 2.0, (0.2, 0.1, 0.002)
"""A jump cut within one shot moves scene, surroundings and head at once: geometric mean of their
three ratios, each at most 4 and to the largest neighbour plus a floor for what codec and mesh do to
a still one. At most 1.66 in 118 takes of the demo and 1.49 in 28 real ones; 0.4 s cut out of a take
gives 2.16.
A hand moves the scene alone, a nod the head and little else."""
_NEIGHBOURS, _JUMP_NEIGHBOURS, _FEWEST_NEIGHBOURS = 4, 6, 3
_LONG_STEP = 1.5
_LEAST = 1e-6


@dataclass(frozen=True)
class FrameChanges:
    """Differences of each frame (n,) from the one before; infinite unless both show the face.

    `images` compares the stored crops and `scenes` their grey thumbnails at even exposure, both as
    mean absolute differences in levels of 256; `surroundings` is that of the thumbnails outside the
    face. `moves` is the mean path of the landmarks and `heads` the median path of those that
    expression hardly moves, in interocular distances. `times_s` are presentation times; the last
    frame ends at `end_s`.
    """

    times_s: Sequence[float]
    end_s: float
    images: Sequence[float]
    scenes: Sequence[float]
    surroundings: Sequence[float]
    moves: Sequence[float]
    heads: Sequence[float]

    def _repeats(self) -> list[bool]:
        """Whether each frame shows what the one before showed.

        Repeated frames are seldom equal after coding: those count that differ by less than a
        quarter of the take's third quartile.
        """
        finite = [change for change in self.images if np.isfinite(change)]
        usual = float(np.percentile(finite, 75)) if finite else 0.0
        return [change < max(_STILL, _STILL_SHARE * usual) for change in self.images]

    def doubled(self) -> bool:
        """Whether single frames are shown twice, as after a change of rate."""
        runs = [(repeats, len(list(run))) for repeats, run in groupby(self._repeats())]
        doubled = sum(repeats and n == 1 for repeats, n in runs)
        return doubled >= max(_DOUBLED_FRAMES, _DOUBLED_SHARE * len(self.images))

    def _still(self) -> list[bool]:
        pairs = zip(self._repeats(), self.moves, strict=True)
        return [repeats and move < _STILL_MOVE for repeats, move in pairs]

    def frozen_s(self) -> list[tuple[float, float]]:
        """(start, end) of each time in which image and landmarks stand still, 0.2 s or longer."""
        ends_s = [*self.times_s[1:], self.end_s]
        spans, at = [], 0
        for is_still, run in groupby(self._still()):
            n = len(list(run))
            if is_still and n + 1 >= _FROZEN_FRAMES:
                span = self.times_s[at - 1], ends_s[at + n - 1]
                spans += [span] if span[1] - span[0] >= _FROZEN_S else []
            at += n
        return spans

    def cuts(self) -> list[int]:
        """The frames that begin another shot: of another person, or after a part was cut out.

        One frame must differ far more than its neighbours, so neither flashes nor fast movements
        count: its scene alone, or less if surroundings and head jump, too. Frames after a gap in
        the timestamps or after a freeze do not count either.
        """
        steps_s = np.diff(self.times_s, prepend=self.times_s[0] if self.times_s else 0.0)
        usual_s = float(np.median(steps_s[1:])) if len(steps_s) > 1 else 0.0
        still = self._still()
        return [
            k
            for k in range(1, len(self.scenes))
            if (self._is_other_scene(k) or self._jumps(k))
            and steps_s[k] <= _LONG_STEP * usual_s
            and not still[k - 1]
        ]

    def _is_other_scene(self, k: int) -> bool:
        ratio = _ratio(self.scenes, k, _NEIGHBOURS, 0.0)
        return ratio >= _CUT_RATIO and self.scenes[k] >= _CUT_LEVELS

    def _jumps(self, k: int) -> bool:
        series = self.scenes, self.surroundings, self.heads
        ratios = [
            min(_ratio(values, k, _JUMP_NEIGHBOURS, floor), _CUT_RATIO)
            for values, floor in zip(series, _JUMP_FLOORS, strict=True)
        ]
        return float(np.prod(ratios)) >= _JUMP_RATIO ** len(ratios)


def _ratio(values: Sequence[float], k: int, reach: int, floor: float) -> float:
    """A frame's value over the largest of its neighbours plus a floor; 0 if either is unknown."""
    near = [*values[max(0, k - reach) : k], *values[k + 1 : k + 1 + reach]]
    finite = [value for value in near if np.isfinite(value)]
    if not np.isfinite(values[k]) or len(finite) < _FEWEST_NEIGHBOURS:
        return 0.0
    return values[k] / max(max(finite) + floor, _LEAST)


def change_findings(changes: FrameChanges, audio: Audio) -> set[str]:
    """Findings on frames that repeat the one before, or belong to another shot."""
    frozen = any(audio.speech_share(*span) >= _SPEECH_SHARE for span in changes.frozen_s())
    marks = {
        "frozen_video": frozen,
        "frames_doubled": changes.doubled(),
        "cut": bool(changes.cuts()),
    }
    return {name for name, present in marks.items() if present}
