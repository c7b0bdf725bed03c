"""What processes held while they lived: memory and open files, stage by stage and pass by pass."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

MB = 1 << 20
RUN = "run"
_WARM_S = 30.0
"""Of a process's life that do not count for its slope: libraries are loaded, caches fill."""
_GROWN_MB = 48.0
_GROWN_FILES = 4
"""From the second pass to the last, the most that counts as flat."""


def children_of(process: int) -> list[int]:
    """The processes that a process has started and that still run."""
    try:
        return [
            int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []


class Look(NamedTuple):
    """One look at a process: when, in which pass and at which stage, resident bytes, open files."""

    seconds: float
    number: int
    stage: str
    rss: int
    handles: int


@dataclass
class Life:
    """One process: the run itself or a worker, and all looks at it."""

    who: str
    looks: list[Look] = field(default_factory=list)

    @property
    def counts(self) -> bool:
        """Whether it lived long enough for a slope."""
        looks = self.looks
        return len(looks) > 5 and looks[-1].seconds - looks[0].seconds > 2 * _WARM_S

    def slope_mb_per_min(self) -> float:
        """How fast its memory grew once it was warm, by the median of slopes (Theil, Sen)."""
        t = np.array([look.seconds for look in self.looks])
        y = np.array([look.rss for look in self.looks]) / MB
        warm = t - t[0] > _WARM_S
        t, y = t[warm], y[warm]
        i, j = np.triu_indices(len(t), 1)
        return float(np.median((y[j] - y[i]) / (t[j] - t[i]))) * 60


class Peak(NamedTuple):
    """The most of one pass at a stage."""

    mb: float
    handles: int


Peaks = dict[tuple[str, str], dict[int, Peak]]
"""By who and stage, of every pass."""


def peaks(lives: list[Life]) -> Peaks:
    """The most that the run, and any worker, held in each pass at each stage."""
    found: Peaks = defaultdict(dict)
    for life in lives:
        for look in life.looks:
            of = found[life.who, look.stage]
            had = of.get(look.number, Peak(0.0, 0))
            of[look.number] = Peak(max(had.mb, look.rss / MB), max(had.handles, look.handles))
    return found


def grown(of: dict[int, Peak]) -> tuple[float, int]:
    """By how much the last pass that was whole held more than the second, in MB and in files.

    The first pass loads libraries, and the last one may have been ended in its middle.
    """
    numbers = sorted(of)[1:]
    if len(numbers) < 2:
        return 0.0, 0
    first, last = of[numbers[0]], of[numbers[-1]]
    return last.mb - first.mb, last.handles - first.handles


def lines(lives: list[Life]) -> list[str]:
    """The figures as text: the run, then its workers, a line a stage."""
    said = []
    for (who, stage), of in sorted(peaks(lives).items()):
        mb = " ".join(f"{of[number].mb:.0f}" for number in sorted(of))
        handles = " ".join(str(of[number].handles) for number in sorted(of))
        said.append(f"{who:7s} {stage:10s} peak MB {mb}; files open {handles}")
    for who in (RUN, "worker"):
        slopes = [life.slope_mb_per_min() for life in lives if life.who == who and life.counts]
        if slopes:
            said.append(
                f"{who}: {len(slopes)} lived for a minute, {max(slopes):+.1f} MB/min at most"
            )
    return said


def swollen(lives: list[Life]) -> list[str]:
    """Where the last pass held more than the second."""
    found = []
    for (who, stage), of in sorted(peaks(lives).items()):
        mb, handles = grown(of)
        if mb > _GROWN_MB or handles > _GROWN_FILES:
            found.append(f"GREW {who} {stage}: {mb:+.0f} MB, {handles:+d} files")
    return found
