"""What the error of the image's time does to the claims of frame pairs that audio aligned."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.stats import norm

from pipeline.alignment.confidence import ERROR_GRID_S
from pipeline.alignment.frame_pairs import FrameMap
from pipeline.params import AlignFrames


def sync_error_s(error_a_s: float | None, error_b_s: float | None) -> float | None:
    """Standard error of the image of one take against that of another; None if unknown."""
    if error_a_s is None or error_b_s is None:
        return None
    return math.hypot(error_a_s, error_b_s)


def in_image_time(frames: FrameMap, error_s: float | None, params: AlignFrames) -> FrameMap:
    """Frame pairs whose claimed error holds for the images.

    The error of the offsets at the same certainty is added in quadrature. The confidence stays that
    of the audio alignment.
    """
    if not error_s:
        return frames
    reach_s = norm.ppf((1 + params.certainty) / 2) * error_s
    claimed_s = np.minimum(np.hypot(frames.error_s, reach_s), ERROR_GRID_S[-1])
    return replace(frames, error_s=claimed_s)
