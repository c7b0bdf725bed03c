"""The sampler for CERL (CDRL 3.2): tuples of one clear frame of each of the seven emotions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from spfem_data.conditions import Condition, check_conditions
from spfem_data.datasets import Batch, BatchDataset, ColumnReader, regrouped
from spfem_data.errors import PipelineError, TableError
from spfem_data.images import ImageFormat
from spfem_data.labels import EMOTIONS
from spfem_data.reader import Shards
from spfem_data.references import SEVEN
from spfem_data.rng import I64, KeyedRng, shuffled_cycle

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

    def readers(self) -> Sequence[ColumnReader]:
        """Of the config emotions."""
        return (self._frames,)

    def runs(self) -> list[int]:
        """The frames of a tuple are in different row groups."""
        return [1] * len(self)

    def image_keys(self) -> frozenset[str]:
        """image."""
        return frozenset({"image"})

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
