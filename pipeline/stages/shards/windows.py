"""Windows of consecutive frame pairs for temporal training, each pair with its weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one clip pair, in order of time.

    Attributes
    ----------
    index : int64 [shape=(n_windows, length)]
        Positions in the pair's per-frame columns, strictly increasing in a window. They are
        consecutive unless pairs below the threshold were skipped.
    weight : float64 in [0, 1] [shape=(n_windows, length)]
        The confidence of each pair; 0 for a pair below the threshold that was not skipped.
    """

    index: IntArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.index)


def find_windows(
    frame_a: npt.ArrayLike,
    frame_b: npt.ArrayLike,
    confidence: npt.ArrayLike,
    *,
    length: int,
    max_step: int,
    min_confidence: float,
    keep_rejected: bool,
) -> Windows:
    """All overlapping windows of `length` frame pairs, one for each possible first pair.

    From pair to pair, both takes advance by 1 to `max_step` frames. (STCCL 4.2 requires consecutive
    frames in both takes; its public code uses cells of the path, where a take can stand still.)
    Pairs below `min_confidence` are skipped if `max_step` allows it. With `keep_rejected` they stay
    with weight 0, so that the frames of a window are more evenly spaced; more than half of a
    window's pairs must then be above the threshold.

    Parameters
    ----------
    frame_a, frame_b : int [shape=(n,)], never decreasing
        A window ends where a take stands still, as in the maps of preset compat_scmcl.
    confidence : float [shape=(n,)]

    Raises
    ------
    ValueError
        If `length` is below 2 or `max_step` below 1.
    """
    if length < 2 or max_step < 1:
        raise ValueError(f"length {length} and max_step {max_step}: expected at least 2 and 1")
    frames = np.stack([np.asarray(frame_a, np.int64), np.asarray(frame_b, np.int64)])
    sure = np.asarray(confidence, np.float64)
    good = sure >= min_confidence
    places = np.arange(len(sure)) if keep_rejected else np.flatnonzero(good)
    starts = _starts(frames[:, places], length, max_step)
    index = places[starts[:, None] + np.arange(length)]
    weight = np.where(good, sure, 0.0)[index]
    enough = good[index].sum(axis=1) * 2 > length
    return Windows(index[enough], weight[enough])


def _starts(frames: IntArray, length: int, max_step: int) -> IntArray:
    """Where `length - 1` steps in a row are within the bound."""
    steps = np.diff(frames, axis=1)
    near = ((steps >= 1) & (steps <= max_step)).all(axis=0)
    if len(near) < length - 1:
        return np.zeros(0, np.int64)
    rows = np.lib.stride_tricks.sliding_window_view(near, length - 1)
    return np.flatnonzero(rows.all(axis=1))
