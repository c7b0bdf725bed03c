"""Heads rendered by the demo corpus, with their ground truth."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.demo_corpus.action_units import UNITS
from pipeline.demo_corpus.head import Drawn, Expression, Head
from pipeline.demo_corpus.head_pose import Pose
from pipeline.demo_corpus.speakers import CAST

SIZE_PX = 320
EYES_PX = 0.28 * SIZE_PX


@lru_cache(maxsize=4)
def head(which: int = 0) -> Head:
    """One of the cast."""
    return Head(CAST[sorted(CAST)[which]], SIZE_PX)


def drawn(
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    roll_deg: float = 0.0,
    *,
    jaw: float = 0.0,
    which: int = 0,
    shift_px: float = 0.0,
    frame: int = 0,
) -> Drawn:
    """A neutral face in a pose, its eyes `EYES_PX` apart."""
    pose = Pose(
        yaw_deg, pitch_deg, roll_deg, EYES_PX, SIZE_PX / 2 + shift_px, 0.72 * SIZE_PX
    )  # fmt: skip
    return head(which).draw(Expression(np.zeros((2, len(UNITS))), jaw, (0.0, 0.0)), pose, frame)


def rgb(image: Drawn) -> NDArray[np.uint8]:
    """The image as RGB."""
    return np.asarray(cv2.cvtColor(image.image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
