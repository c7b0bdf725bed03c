"""What CERL reads (CDRL 3.2): tuples of seven, one clear frame of each emotion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spfem_data.datasets import Batch, Rows, Samples
from spfem_data.errors import PipelineError, TableError
from spfem_data.images import ImageFormat
from spfem_data.labels import EMOTIONS
from spfem_data.reader import Condition, Shards
from spfem_data.rng import I64, Draws, again_and_again

CLIP_SIZED = ImageFormat(size=224, values="0..1")


class CerlTuples(Samples):
    """One clear frame of each of the seven emotions (CDRL 3.2, eq. 3): equally many of each.

    image (n, 7, 3, h, w), embedding (n, 7, d) of CLIP, in the order of `schema.EMOTIONS`. An epoch
    gives each frame of the largest D_n once, and those of the smaller ones as evenly as can be, in
    an order of their own.

    Parameters
    ----------
    pictures
        False gives embeddings alone, which is all that CERL's loss reads, and decodes nothing.
    columns
        Of the config `emotions`; each (n, 7).

    Raises
    ------
    TableError
        Where an emotion has no clear frame.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        where: Sequence[Condition] = (),
        columns: Sequence[str] = ("image_id", "speaker", "clarity", "embedding"),
        pictures: bool = True,
        form: ImageFormat = CLIP_SIZED,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(form, threads=1)
        shards = Shards(folder, "emotions", split, cache=cache, options=options)
        self._frames = Rows(shards, columns, [*where, ("emotion", "in", list(EMOTIONS))])
        self._with_pictures = pictures
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

    def rows(self) -> Sequence[Rows]:
        """Of the config emotions."""
        return (self._frames,)

    def runs(self) -> list[int]:
        """Seven places at a time: nothing lies together."""
        return [1] * len(self)

    def pictures(self) -> frozenset[str]:
        """image."""
        return frozenset({"image"})

    def weights(self, column: str) -> Any:
        """Refused: the frames of a tuple have seven."""
        raise PipelineError("CerlTuples takes no weights: choose frames by where=")

    def take(self, indices: I64, draws: Draws, pool: Executor | None = None) -> Batch:
        """The tuples."""
        parts = [self._of(number, indices, draws) for number in range(len(EMOTIONS))]
        rows = np.stack(parts, axis=1)
        flat = self._frames.scalars(rows.reshape(-1))
        batch = {name: _in_sevens(value) for name, value in flat.items()}
        if self._with_pictures:
            batch["image"] = self.picture(self._frames, "image", rows, pool)
        return batch

    def _of(self, number: int, indices: I64, draws: Draws) -> I64:
        return again_and_again(self._members[number], indices, draws, number)


def _in_sevens(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.reshape(-1, len(EMOTIONS), *value.shape[1:])
    return [value[k : k + len(EMOTIONS)] for k in range(0, len(value), len(EMOTIONS))]
