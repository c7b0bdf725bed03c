"""Clear frames out of the config `emotions`: the sub-datasets D_n of CDRL 3.2.

clear = Emotions("data/demo/shards", "train", where=[("clarity", ">=", 0.8)])
batch = clear[:32]   # image (n, 3, h, w), label (n,), embedding (n, d), p_happy (n,), ...
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
import torch

from spfem_data.datasets import Batch, OneConfig
from spfem_data.labels import EMOTIONS
from spfem_data.rng import I64, Draws


class Emotions(OneConfig):
    """Clear frames: `image` (n, 3, h, w), `label` (n,) and the columns asked for.

    `label` is the number of the emotion in the order neutral, happy, angry, surprised, fear, sad,
    disgusted; it is there whenever `emotion` is.

    Parameters
    ----------
    folder, split
        As of `Shards`, and so are `cache` and `options`.
    where
        Conditions on columns, all to be met; null meets none. `("rank", "<=", r)` gives the r
        clearest of every emotion.
    columns
        None means all columns; without `image` no picture is read.
    """

    CONFIG = "emotions"

    def labels(self) -> I64:
        """The emotion's number (n,) of every frame, in the order of the index."""
        return _numbers(self._rows.column("emotion", np.arange(len(self))))

    def take(self, indices: I64, draws: Draws, pool: Executor | None = None) -> Batch:
        """Pictures (n, 3, h, w), labels (n,) and columns (n, ...)."""
        batch = super().take(indices, draws, pool)
        if "emotion" in batch:
            batch["label"] = torch.from_numpy(_numbers(batch["emotion"]))
        return batch


def _numbers(names: Sequence[str]) -> I64:
    return np.array([EMOTIONS.index(name) for name in names], np.int64)
