"""The frame pairs of two clips, from our aligner or from the papers'."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.alignment.align import Alignment, judge_frames, pair_frames
from pipeline.alignment.frame_pairs import FrameMap
from pipeline.alignment.scmcl_baseline import CompatMap, compat_map
from pipeline.params import Align
from pipeline.stages.align.utterances import FloatArray, Samples

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClipMap:
    """The frame pairs of two clips, and the time map (n, 2) in seconds of their audio."""

    frames: FrameMap
    knots: FloatArray


def our_map(
    alignment: Alignment, instants_a_s: FloatArray, instants_b_s: FloatArray, params: Align
) -> ClipMap:
    """Preset `default`: one-to-one pairs, at or above the minimum confidence."""
    frames = pair_frames(alignment, instants_a_s, instants_b_s, params)
    return ClipMap(frames, alignment.warp.knots_s)


def papers_map(
    alignment: Alignment,
    samples: tuple[Samples, Samples],
    rates: tuple[float, float],
    instants_a_s: FloatArray,
    instants_b_s: FloatArray,
    params: Align,
) -> ClipMap:
    """Preset `compat_scmcl`: the cells of the papers' path, with our scores for each pair.

    Frames repeat, and there is no minimum confidence. `alignment` is ours; it only rates the pairs.

    Parameters
    ----------
    samples, rates
        The audio of a and b at 16 kHz, and their frame rates.
    """
    found = compat_map(*samples, fps_a=rates[0], fps_b=rates[1], backend=params.backend)
    frame_a, frame_b = _shown(found, rates, instants_a_s, instants_b_s)
    frames = judge_frames(alignment, instants_a_s, instants_b_s, frame_a, frame_b, params)
    return ClipMap(frames, found.knots)


def _shown(
    found: CompatMap, rates: tuple[float, float], a_s: FloatArray, b_s: FloatArray
) -> tuple[IntArray, IntArray]:
    """The frames that the cells represent; cells at which no frame is shown are dropped.

    The papers equate cell i with frame i, which is correct if video and audio begin together and
    the rate is constant. The frame whose middle is nearest to the cell's is the same one then.
    """
    frames, shown = [], np.ones(len(found.cells_a), np.bool_)
    for cells, fps, instants_s in zip(
        (found.cells_a, found.cells_b), rates, (a_s, b_s), strict=True
    ):
        middle_s = (cells + 0.5) / fps
        nearest = _nearest(instants_s, middle_s)
        shown &= np.abs(instants_s[nearest] - middle_s) <= 0.5 / fps
        frames.append(nearest)
    pairs = np.unique(np.stack(frames, axis=1)[shown], axis=0)
    return pairs[:, 0], pairs[:, 1]


def _nearest(instants_s: FloatArray, times_s: FloatArray) -> IntArray:
    after = np.searchsorted(instants_s, times_s).clip(1, max(len(instants_s) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(instants_s) - 1)
    nearer = times_s - instants_s[before] < instants_s[after] - times_s
    return np.where(nearer, before, after).astype(np.int64)
