"""Which frame pairs the mouths contradict: around the frame, and where the audio is silent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

from pipeline.alignment.frame_pairs import FrameMap
from pipeline.alignment.types import BoolArray, FloatArray
from pipeline.params import AlignMouths
from pipeline.stages.align.mouth_agreement import sample_curve
from pipeline.stages.align.tracks import Track

_AROUND_S = np.array([-0.08, -0.04, 0.0, 0.04, 0.08])
_SLOW_S = 0.6


def mouth_gap(a: Track, b: Track, frame_a: npt.ArrayLike, frame_b: npt.ArrayLike) -> FloatArray:
    """How far two mouths are apart around each frame pair, in eye distances [shape=(n_pairs,)].

    The mean absolute difference of the faster movements within 80 ms, of openings or of widths,
    whichever is larger. A running median over 0.6 s of each take, which follows the expression, is
    subtracted before. NaN where a mouth is not visible.
    """
    times_a, times_b = a.instants_s[np.asarray(frame_a)], b.instants_s[np.asarray(frame_b)]
    gaps = []
    for of_a, of_b in ((a.mouth_open, b.mouth_open), (a.mouth_width, b.mouth_width)):
        fast_a = _around(a.instants_s, of_a, times_a)
        fast_b = _around(b.instants_s, of_b, times_b)
        gaps.append(np.abs(fast_a - fast_b).mean(axis=1))
    return np.asarray(np.maximum(*gaps))


def _around(instants_s: FloatArray, curve: FloatArray, times_s: FloatArray) -> FloatArray:
    seen = np.isfinite(curve)
    fast = np.full(len(curve), np.nan)
    if seen.sum() > 1:
        step_s = float(np.median(np.diff(instants_s[seen])))
        size = max(round(_SLOW_S / step_s) // 2 * 2 + 1, 3)
        fast[seen] = curve[seen] - median_filter(curve[seen], size, mode="nearest")
    at_s = times_s[:, None] + _AROUND_S
    return sample_curve(instants_s, fast, at_s.ravel()).reshape(at_s.shape)


def speech_at(speech: BoolArray, hop_s: float, instants_s: FloatArray) -> BoolArray:
    """Whether the audio speaks at each instant."""
    cell = np.round(instants_s / hop_s).astype(np.intp).clip(0, len(speech) - 1)
    return np.asarray(speech[cell])


def accepted(
    gap: FloatArray, difference: FloatArray, speakers: npt.NDArray[np.intp], section: AlignMouths
) -> BoolArray:
    """Which frame pairs stay.

    Parameters
    ----------
    gap
        From `mouth_gap`, NaN where unknown.
    difference
        Opening of b minus opening of a, NaN where unknown.
    speakers
        How many of the two takes speak: 0, 1 or 2. Where not both do, audio is no evidence.
    """
    stays = ~(gap > section.max_gap) if section.max_gap else np.ones(len(gap), np.bool_)
    differs = np.abs(difference) > section.max_difference
    for n, policy in ((1, section.one_silent), (0, section.both_silent)):
        if policy == "drop":
            stays &= speakers != n
        elif policy == "match":
            stays &= ~((speakers == n) & differs)
    return np.asarray(stays)


def lowered(frames: FrameMap, gap: FloatArray, section: AlignMouths) -> FrameMap:
    """Frame pairs with less confidence where the gap is above its limit: in proportion to it."""
    share = np.where(gap > section.gap_limit, section.gap_limit / np.maximum(gap, 1e-9), 1.0)
    return replace(frames, confidence=frames.confidence * share)
