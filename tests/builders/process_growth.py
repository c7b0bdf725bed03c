"""Memory and open files of processes over time, by stage and pass."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

MB = 1 << 20
RUN = "run"
_WARM_S = 30.0
"""Start of a process that is left out of its slope: libraries load, caches fill."""
_GROWN_MB = 48.0
_GROWN_FILES = 4
"""Growth from the second pass to the last that still counts as constant."""


def children_of(process: int) -> list[int]:
    """The running child processes of a process."""
    try:
        return [
            int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []


class Sample(NamedTuple):
    """One measurement: time, pass, stage, resident bytes and open files."""

    seconds: float
    number: int
    stage: str
    rss: int
    handles: int


@dataclass
class ProcessHistory:
    """All samples of one process: the run itself or a worker."""

    who: str
    samples: list[Sample] = field(default_factory=list)

    @property
    def counts(self) -> bool:
        """Whether it ran long enough for a slope."""
        samples = self.samples
        return len(samples) > 5 and samples[-1].seconds - samples[0].seconds > 2 * _WARM_S

    def slope_mb_per_min(self) -> float:
        """Memory growth after warm-up: the median of slopes (Theil-Sen)."""
        t = np.array([sample.seconds for sample in self.samples])
        y = np.array([sample.rss for sample in self.samples]) / MB
        warm = t - t[0] > _WARM_S
        t, y = t[warm], y[warm]
        i, j = np.triu_indices(len(t), 1)
        return float(np.median((y[j] - y[i]) / (t[j] - t[i]))) * 60


class Peak(NamedTuple):
    """The maxima of one pass at a stage."""

    mb: float
    handles: int


Peaks = dict[tuple[str, str], dict[int, Peak]]
"""By process kind and stage, for every pass."""


def peaks(histories: list[ProcessHistory]) -> Peaks:
    """The maxima of the run, and of any worker, in each pass at each stage."""
    maxima: Peaks = defaultdict(dict)
    for history in histories:
        for one in history.samples:
            passes = maxima[history.who, one.stage]
            before = passes.get(one.number, Peak(0.0, 0))
            passes[one.number] = Peak(
                max(before.mb, one.rss / MB), max(before.handles, one.handles)
            )
    return maxima


def grown(of: dict[int, Peak]) -> tuple[float, int]:
    """Growth from the second pass to the last, in MB and in files.

    The first pass is left out because it loads libraries.
    """
    numbers = sorted(of)[1:]
    if len(numbers) < 2:
        return 0.0, 0
    first, last = of[numbers[0]], of[numbers[-1]]
    return last.mb - first.mb, last.handles - first.handles


def lines(histories: list[ProcessHistory]) -> list[str]:
    """The figures as text, one line per stage: the run, then its workers."""
    text = []
    for (who, stage), of in sorted(peaks(histories).items()):
        mb = " ".join(f"{of[number].mb:.0f}" for number in sorted(of))
        handles = " ".join(str(of[number].handles) for number in sorted(of))
        text.append(f"{who:7s} {stage:10s} peak MB {mb}; files open {handles}")
    for who in (RUN, "worker"):
        slopes = [one.slope_mb_per_min() for one in histories if one.who == who and one.counts]
        if slopes:
            text.append(f"{who}: {len(slopes)} ran for a minute, {max(slopes):+.1f} MB/min at most")
    return text


def grew(histories: list[ProcessHistory]) -> list[str]:
    """The stages where the last pass used more than the second."""
    text = []
    for (who, stage), of in sorted(peaks(histories).items()):
        mb, handles = grown(of)
        if mb > _GROWN_MB or handles > _GROWN_FILES:
            text.append(f"GREW {who} {stage}: {mb:+.0f} MB, {handles:+d} files")
    return text
