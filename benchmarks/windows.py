"""How many windows for temporal training, and how well aligned: every policy, against known truth.

    python benchmarks/windows.py FOLDER [--params params.yaml]

FOLDER as in ``align_accuracy.py``. Windows of T frame pairs per 1,000 frames of the shorter take
(between the first and the last knot of the truth; 25 frames a second); the share of their pairs
within 40 ms of the truth; the median and 95th percentile of the *worst* pair of each window; and
the mean jitter: how far the time between neighbours in b is from what the truth says it is. Where
rejected pairs stay, errors are of the pairs with a weight, and their share is given.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from benchmarks.align_accuracy import (
    FPS,
    SETS,
    TOLERANCE_S,
    Pair,
    aligned,
    of_truth,
    our_frames,
    read_options,
    ungated,
)
from pipeline.alignment.align import Alignment
from pipeline.alignment.frame_pairs import FrameMap
from pipeline.params import Align
from pipeline.stages.shards.windows import Windows, find_windows

LENGTHS = (5, 9)
STEPS = (1, 2, 3)
LEAST = (0.0, 0.5, 0.85, 0.95)
POLICIES = ("gate", "step over", "stay")
"""gate: the frame map is made with the threshold as its gate. The others take the map without a
gate: pairs below the threshold are stepped over, or stay with weight 0."""


@dataclass(frozen=True)
class Row:
    """The windows of one pair: how many, frames of the shorter take, and errors of their pairs."""

    windows: int
    frames: float
    error_s: np.ndarray
    worst_s: np.ndarray
    jitter_s: np.ndarray
    weighted: np.ndarray


def main() -> None:
    """Print the table of each set."""
    params, pairs = read_options(of_truth(__doc__).parse_args())
    ours = [aligned(pair, params) for pair in pairs]
    maps = {least: _maps(pairs, ours, params, least) for least in LEAST}
    print("windows per 1,000 frames | pairs within 40 ms % | worst of a window p50 / p95 ms |")
    print("jitter ms | pairs with a weight %")
    for which, length in product(SETS, LENGTHS):
        print(f"\n{which.upper()}, T = {length}")
        for policy, step in product(POLICIES, STEPS):
            for least in LEAST:
                if least == 0 and policy != "gate":
                    continue
                frames = maps[least if policy == "gate" else 0.0]
                rows = [
                    _row(pair, found, length, step, least, policy == "stay")
                    for pair, found in zip(pairs, frames, strict=True)
                    if pair.set == which
                ]
                print(f"{policy:9} step {step} least {least:4.2f} | {_cell(rows)}")


def _maps(pairs: list[Pair], ours: list[Alignment], params: Align, least: float) -> list[FrameMap]:
    gated = ungated(params, least)
    return [our_frames(pair, found, gated) for pair, found in zip(pairs, ours, strict=True)]


def _row(pair: Pair, frames: FrameMap, length: int, step: int, least: float, stay: bool) -> Row:
    found = find_windows(
        frames.frame_a, frames.frame_b, frames.confidence,
        length=length, max_step=step, min_confidence=least, keep_rejected=stay,
    )  # fmt: skip
    return _measured(pair, frames, found)


def _measured(pair: Pair, frames: FrameMap, found: Windows) -> Row:
    a_s, b_s = ((column[found.index] + 0.5) / FPS for column in (frames.frame_a, frames.frame_b))
    off = b_s - pair.truth(a_s)
    weighted = found.weight > 0
    error = np.abs(off)
    jitter = np.abs(np.diff(off, axis=1))[weighted[:, 1:] & weighted[:, :-1]]
    worst = np.where(weighted, error, 0).max(axis=1, initial=0)
    return Row(len(found), pair.frames, error[weighted], worst, jitter, weighted.ravel())


def _cell(rows: list[Row]) -> str:
    per_1000 = 1000 * sum(row.windows for row in rows) / sum(row.frames for row in rows)
    error, worst, jitter, weighted = (
        np.concatenate([getattr(row, name) for row in rows])
        for name in ("error_s", "worst_s", "jitter_s", "weighted")
    )
    if len(error) == 0:
        return f"{per_1000:4.0f}"
    middle, high = np.percentile(worst, [50, 95]) * 1e3
    return (
        f"{per_1000:4.0f} | {100 * (error <= TOLERANCE_S).mean():6.2f} | "
        f"{middle:3.0f} / {high:4.0f} | {1e3 * jitter.mean():4.1f} | {100 * weighted.mean():5.1f}"
    )


if __name__ == "__main__":
    main()
