"""Measures of listed pairs that need no corpus."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.tools.audit.pairlist import IntArray, ListedPair

MAX_RATIO = 1.8
"""Two takes of one sentence rarely differ more in length."""
MAX_RUN = 9
"""Frames; at 30 fps, a run of ten repeats one frame for a third of a second."""
MIN_DIAGONAL = 0.5
MIN_ONE_TO_ONE = 0.5
_FELLOWS = 3

FLAGS = {
    "length_ratio": f"one take is more than {MAX_RATIO} times as long as the other",
    "odd_among_fellows": f"its ratio is more than {MAX_RATIO} times off the median of this speaker "
    "and emotion",
    "long_run": f"one frame is repeated {MAX_RUN + 1} times or more",
    "off_diagonal": f"fewer than {MIN_DIAGONAL:.0%} of the steps advance both takes by one frame",
    "few_one_to_one": f"fewer than {MIN_ONE_TO_ONE:.0%} of the frame pairs are one-to-one",
    "backwards": "a take goes backwards in time",
    "take_twice": "this take of the emotion is paired with two neutral takes",
}
"""Every flag with its meaning."""


@dataclass(frozen=True)
class Run:
    """The longest run of one repeated frame: length, frame, position in the pair.

    `place` is the middle of the run relative to the pair's length, 0 to 1.
    """

    length: int
    frame: int
    place: float


@dataclass(frozen=True)
class Measures:
    """One listed pair in numbers.

    Attributes
    ----------
    n_frames_a, n_frames_b
        The last frame number plus one; a list has no other information.
    ratio
        n_frames_b over n_frames_a.
    ratio_among_fellows
        `ratio` over the median of this speaker's pairs of this emotion; None below three pairs.
    run_a, run_b
        The longest run of one frame.
    diagonal
        Share of the steps that advance both takes by exactly one frame.
    one_to_one
        Share of the frame pairs whose frames are in no other frame pair.
    monotone
        Whether both takes never go backwards.
    start, end
        First and last frame pair.
    """

    pair: ListedPair
    n_frames_a: int
    n_frames_b: int
    ratio: float
    ratio_among_fellows: float | None
    run_a: Run
    run_b: Run
    diagonal: float
    one_to_one: float
    monotone: bool
    start: tuple[int, int]
    end: tuple[int, int]
    flags: tuple[str, ...]

    @property
    def excess(self) -> float:
        """Length of the longer take over that of the shorter."""
        return max(self.ratio, 1 / self.ratio)

    @property
    def longest_run(self) -> int:
        """The longer of the two runs."""
        return max(self.run_a.length, self.run_b.length)


def measure_all(pairs: Sequence[ListedPair]) -> list[Measures]:
    """The measures of every pair, in the order given."""
    ratios: dict[tuple[str, str], list[float]] = defaultdict(list)
    uses: Counter[tuple[str, str, str]] = Counter()
    for pair in pairs:
        ratios[pair.speaker, pair.emotion].append(_ratio(pair))
        uses[pair.speaker, pair.emotion, pair.take_b] += 1
    return [
        _measure(
            pair,
            ratios[pair.speaker, pair.emotion],
            uses[pair.speaker, pair.emotion, pair.take_b] > 1,
        )
        for pair in pairs
    ]


def _ratio(pair: ListedPair) -> float:
    return float((pair.frame_b.max() + 1) / (pair.frame_a.max() + 1))


def _measure(pair: ListedPair, fellows: Sequence[float], twice: bool) -> Measures:
    a, b = pair.frame_a, pair.frame_b
    steps = np.stack([np.diff(a), np.diff(b)])
    ratio = _ratio(pair)
    odd = ratio / float(np.median(fellows)) if len(fellows) >= _FELLOWS else None
    run_a, run_b = longest_run(a), longest_run(b)
    diagonal = float((steps == 1).all(axis=0).mean()) if len(a) > 1 else 1.0
    one_to_one = float((_once(a) & _once(b)).mean())
    monotone = not (steps < 0).any()
    flags = {
        "length_ratio": _beyond(ratio),
        "odd_among_fellows": odd is not None and _beyond(odd),
        "long_run": max(run_a.length, run_b.length) > MAX_RUN,
        "off_diagonal": diagonal < MIN_DIAGONAL and one_to_one < 1,
        "few_one_to_one": one_to_one < MIN_ONE_TO_ONE,
        "backwards": not monotone,
        "take_twice": twice,
    }
    return Measures(
        pair=pair, n_frames_a=int(a.max()) + 1, n_frames_b=int(b.max()) + 1, ratio=ratio,
        ratio_among_fellows=odd, run_a=run_a, run_b=run_b, diagonal=diagonal,
        one_to_one=one_to_one, monotone=monotone, start=(int(a[0]), int(b[0])),
        end=(int(a[-1]), int(b[-1])), flags=tuple(name for name, up in flags.items() if up),
    )  # fmt: skip


def _beyond(ratio: float) -> bool:
    return max(ratio, 1 / ratio) > MAX_RATIO


def _once(frames: IntArray) -> npt.NDArray[np.bool_]:
    """Which entries have a frame that occurs once."""
    _, where, count = np.unique(frames, return_inverse=True, return_counts=True)
    return np.asarray(count[where] == 1)


def longest_run(frames: IntArray) -> Run:
    """The longest run of one repeated frame; the first if several are equally long.

    >>> longest_run(np.array([4, 5, 5, 5, 6]))
    Run(length=3, frame=5, place=0.5)
    """
    first = np.flatnonzero(np.concatenate([[True], np.diff(frames) != 0]))
    length = np.diff(np.append(first, len(frames)))
    k = int(length.argmax())
    middle = first[k] + (length[k] - 1) / 2
    return Run(int(length[k]), int(frames[first[k]]), float(middle / max(len(frames) - 1, 1)))


_SHARE = 0.25
_LEAST = 3


@dataclass(frozen=True)
class Group:
    """The pairs of one emotion with one neutral take, over speakers.

    Attributes
    ----------
    odd
        Speakers whose pair is flagged length_ratio.
    median_ratio, median_diagonal
        Over the group's pairs.
    suspect
        Whether at least three speakers and a quarter of the group are odd.
    """

    emotion: str
    take_a: str
    takes_b: tuple[str, ...]
    n_pairs: int
    odd: tuple[str, ...]
    median_ratio: float
    median_diagonal: float

    @property
    def suspect(self) -> bool:
        """Whether the rule that paired these takes is probably wrong for many speakers."""
        return len(self.odd) >= max(_LEAST, _SHARE * self.n_pairs)


def group_pairs(measured: Sequence[Measures]) -> list[Group]:
    """All groups, sorted by emotion and neutral take."""
    found: dict[tuple[str, str], list[Measures]] = defaultdict(list)
    for row in measured:
        found[row.pair.emotion, row.pair.take_a].append(row)
    return [
        Group(
            emotion=emotion,
            take_a=take_a,
            takes_b=tuple(sorted({row.pair.take_b for row in rows})),
            n_pairs=len(rows),
            odd=tuple(r.pair.speaker for r in rows if "length_ratio" in r.flags),
            median_ratio=float(np.median([r.ratio for r in rows])),
            median_diagonal=float(np.median([r.diagonal for r in rows])),
        )
        for (emotion, take_a), rows in sorted(found.items())
    ]
