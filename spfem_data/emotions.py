"""Clear frames from the config `emotions`: the subsets D_n of CDRL 3.2.

clear = Emotions("data/demo/shards", "train", where=[("clarity", ">=", 0.8)])
batch = clear[:32]   # image (n, 3, h, w), label (n,), embedding (n, d), p_happy (n,), ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spfem_data.conditions import Condition, check_conditions
from spfem_data.datasets import Batch, BatchDataset, ColumnReader, ConfigDataset, regrouped
from spfem_data.errors import PipelineError, TableError
from spfem_data.images import ImageFormat
from spfem_data.labels import EMOTIONS
from spfem_data.reader import Shards
from spfem_data.references import SEVEN
from spfem_data.rng import I64, KeyedRng, shuffled_cycle


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


CLIP_SIZED = ImageFormat(size=224, values="0..1")


class CerlTuples(BatchDataset):
    """One clear frame of each of the seven emotions (CDRL 3.2, eq. 3).

    Returns image (n, 7, 3, h, w) and CLIP's embedding (n, 7, d), in the order of `EMOTIONS`. An
    epoch returns each frame of the largest D_n once, and repeats those of the others as evenly as
    possible, each in a random order of its own.

    Parameters
    ----------
    images
        False: do not decode images. CERL's loss only needs embeddings.
    columns
        Of the config `emotions`; each (n, 7).

    Raises
    ------
    TableError
        If an emotion has no clear frame.
    """

    IMAGES = ("image",)

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        where: Sequence[Condition] | None = (),
        columns: Sequence[str] = ("image_id", "speaker", "clarity", "embedding"),
        images: bool = True,
        image_format: ImageFormat = CLIP_SIZED,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(image_format, threads=1)
        shards = Shards(folder, "emotions", split, cache=cache, options=options)
        self._frames = ColumnReader(shards, columns, [*check_conditions(where), SEVEN])
        self._readers = (self._frames,)
        self._with_images = images
        emotions = np.array(self._frames.values("emotion"), dtype=object)
        self._members = [np.flatnonzero(emotions == emotion) for emotion in EMOTIONS]
        missing = [e for e, m in zip(EMOTIONS, self._members, strict=True) if not len(m)]
        if missing:
            raise TableError(
                f"no clear frame of {', '.join(missing)} in {split}: a tuple needs all seven; see "
                "the thresholds and quotas of filter"
            )

    def __len__(self) -> int:
        return max(map(len, self._members))

    def runs(self) -> list[int]:
        """The frames of a tuple are in different row groups."""
        return [1] * len(self)

    def weights(self, column: str) -> Any:
        """Not supported: a tuple has seven frames."""
        raise PipelineError("CerlTuples does not support weights: select frames with where=")

    def read_batch(self, indices: I64, rng: KeyedRng, pool: Executor | None = None) -> Batch:
        """The tuples."""
        parts = [
            shuffled_cycle(members, indices, rng, number)
            for number, members in enumerate(self._members)
        ]
        rows = np.stack(parts, axis=1)
        flat = self._frames.scalars(rows.reshape(-1))
        batch = {name: regrouped(value, len(EMOTIONS)) for name, value in flat.items()}
        if self._with_images:
            batch["image"] = self.images(self._frames, "image", rows, pool)
        return batch
