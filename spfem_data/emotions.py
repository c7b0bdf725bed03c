"""Clear frames from the config `emotions`: the subsets D_n of CDRL 3.2.

clear = Emotions("data/demo/shards", "train", where=[("clarity", ">=", 0.8)])
batch = clear[:32]   # image (n, 3, h, w), label (n,), embedding (n, d), p_happy (n,), ...
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
import torch

from spfem_data.datasets import Batch, ConfigDataset
from spfem_data.labels import EMOTIONS
from spfem_data.rng import I64, KeyedRng


class Emotions(ConfigDataset):
    """Clear frames: `image` (n, 3, h, w), `label` (n,) and the requested columns.

    `label` is the index of the emotion in `EMOTIONS`. It is returned whenever the column `emotion`
    is.

    Parameters
    ----------
    folder, split, cache, options
        See `Shards`.
    where
        Conditions that must all hold; null meets none. `("rank", "<=", r)` selects the r clearest
        frames of each emotion.
    columns
        None: all columns. Without `image`, no image is read.
    """

    CONFIG = "emotions"

    def labels(self) -> I64:
        """The label (n,) of every frame, in index order."""
        return _labels(self._reader.column("emotion", np.arange(len(self))))

    def read_batch(self, indices: I64, rng: KeyedRng, pool: Executor | None = None) -> Batch:
        """Images (n, 3, h, w), labels (n,) and columns (n, ...)."""
        batch = super().read_batch(indices, rng, pool)
        if "emotion" in batch:
            batch["label"] = torch.from_numpy(_labels(batch["emotion"]))
        return batch


def _labels(emotions: Sequence[str]) -> I64:
    return np.array([EMOTIONS.index(emotion) for emotion in emotions], np.int64)
