"""A generator that draws: its code says how a head moves, so every mouth is known and MediaPipe
finds every face."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.demo_corpus.action_units import UNIT_INDEX, UNITS
from pipeline.demo_corpus.head import Drawn, Expression, Head
from pipeline.demo_corpus.head_pose import Pose
from pipeline.demo_corpus.speakers import CAST

SIZE_PX = 256
N_LATENT, DIM = 2, 4
AXES = ("jaw", "smile", "brow", "yaw", "unused", "unused", "unused", "unused")
JAW, SMILE, BROW, YAW = range(4)


@lru_cache(maxsize=4)
def _head(which: int) -> Head:
    return Head(CAST[sorted(CAST)[which]], SIZE_PX)


def draw(code: NDArray[np.floating], which: int = 0) -> Drawn:
    """The head of a code (8,)."""
    units = np.zeros((2, len(UNITS)))
    units[:, UNIT_INDEX["12"]] = units[:, UNIT_INDEX["6"]] = np.clip(code[SMILE], 0, 1)
    units[:, UNIT_INDEX["4"]] = np.clip(code[BROW], 0, 1)
    pose = Pose(float(10 * code[YAW]), 0.0, 0.0, 0.26 * SIZE_PX, SIZE_PX / 2, 0.68 * SIZE_PX)
    jaw = float(np.clip(code[JAW], 0, 1))
    return _head(which).draw(Expression(units, jaw, (0.0, 0.0)), pose, 0)


class DrawnNets:
    """Stands for `families.networks.Networks`; of `broken` codes it draws no face."""

    n_latent, dim, device, precision, batch = N_LATENT, DIM, "cpu", "fp32", 4
    input_px = size_px = SIZE_PX
    identity = features = encoder = None

    def __init__(self, clarity: object = None, broken: float = np.inf) -> None:
        self.clarity, self.broken, self.n_made = clarity, broken, 0

    def generate(self, codes: NDArray[np.floating]) -> list[NDArray[np.uint8]]:
        """Images (s, s, 3) of codes (n, 2, 4)."""
        self.n_made += len(codes)
        return [self._one(code) for code in np.asarray(codes).reshape(len(codes), -1)]

    def _one(self, code: NDArray[np.floating]) -> NDArray[np.uint8]:
        if code[SMILE] > self.broken:
            return np.full((SIZE_PX, SIZE_PX, 3), 90, np.uint8)
        return np.ascontiguousarray(draw(code).image[..., ::-1])

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """No identity network."""
