"""The clarity of pictures that no camera took: what a generator draws, in its own framing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.clip.scorer import F32
from pipeline.faces.framing import Framing, square
from pipeline.faces.sampling import sample
from pipeline.scoring.setup import Judge, load_scorer

U8 = NDArray[np.uint8]
_MIDDLE_X, _MIDDLE_Y, _SIDE = 0.506, 0.581, 0.683
"""Where ned256's square lies in ffhq's, over its side: means over the demo's drawn faces, whose
deviations are 0.03, 0.01 and 0.06; most of the last is yaw, which makes ffhq's square smaller."""


class Clarity:
    """From square pictures to probabilities of the seven emotions.

    The network sees the part of a picture that the stage score would have shown it, where the
    picture has it: ned256's square lies inside ffhq's. Other pictures are shown whole.

    Parameters
    ----------
    shown
        The framing that the pictures are in.
    """

    def __init__(self, judge: Judge, shown: Framing) -> None:
        self._scorer = load_scorer(judge)
        self._inside = (shown, judge.framing) == ("ffhq", "ned256")

    def __call__(self, pictures: Sequence[U8]) -> F32:
        """Probabilities (n, 7) in the order of SEVEN_EMOTIONS."""
        if self._inside:
            pictures = [inner(picture, self._scorer.size_px) for picture in pictures]
        return self._scorer.probabilities(pictures)


def inner(picture: U8, size_px: int) -> U8:
    """The part (size_px, size_px, 3) of a picture framed by ffhq that ned256 would show."""
    side = _SIDE * len(picture)
    x, y = _MIDDLE_X * len(picture) - side / 2, _MIDDLE_Y * len(picture) - side / 2
    return sample(picture, square(x, y, side, size_px), size_px)
