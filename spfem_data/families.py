"""Synthetic pairs from the config `families`: any two images of a family.

pairs = Families("data/demo/shards", "train", where=[("clarity_rise", ">", 0.3)])
batch = pairs[:8]   # source, target (n, 3, h, w), and the columns of both images
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from spfem_data.conditions import Condition
from spfem_data.datasets import AS_STORED, Batch, ConfigDataset
from spfem_data.errors import TableError
from spfem_data.images import ImageFormat
from spfem_data.rng import I64, KeyedRng

_SHARED = ("family_id", "speaker", "take_id", "frame")


class Families(ConfigDataset):
    """Ordered pairs of two different images of one family: `source` and `target` (n, 3, h, w).

    The columns of both images are named `source_<column>` and `target_<column>`; what a family
    shares (family_id, speaker, take_id, frame) has one column. Both images are synthetic: the
    indicator of SSERD's eq. 14 is 1.

    Parameters
    ----------
    where
        Conditions that both images must meet; null meets none.
    columns
        Of each image; None: all.
    from_own
        True: the source is always the reconstruction (SSERD, eq. 12). False: any two images, in
        both directions.

    Raises
    ------
    TableError
        If no family has two images that meet `where`.
    """

    CONFIG = "families"

    def __init__(
        self,
        folder: str | Path,
        split: str,
        *,
        where: Sequence[Condition] | None = (),
        columns: Sequence[str] | None = None,
        from_own: bool = False,
        image_format: ImageFormat = AS_STORED,
        threads: int = 2,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            folder, split, where=where, columns=columns, image_format=image_format,
            threads=threads, cache=cache, options=options,
        )  # fmt: skip
        own = np.array(self._reader.values("is_reconstruction"), dtype=np.bool_)
        self._index = _pairs(self._reader.values("family_id"), own, from_own)
        if not len(self._index):
            raise TableError(f"{folder}: no two images of one family in {split!r} meet `where`")
        self._rows, self._settings = self._index[:, 0], [from_own]

    def _weighted_rows(self) -> I64:
        """Those of the targets."""
        return np.asarray(self._index[:, 1])

    def image_keys(self) -> frozenset[str]:
        """source and target."""
        return frozenset({"source", "target"} if self._reader.media else ())

    def read_batch(self, indices: I64, rng: KeyedRng, pool: Executor | None = None) -> Batch:
        """Images (n, 3, h, w) and columns (n, ...)."""
        batch: Batch = {}
        for side, rows in zip(("source", "target"), self._index[indices].T, strict=True):
            for name, value in self._reader.scalars(rows).items():
                batch[name if name in _SHARED else f"{side}_{name}"] = value
            for name in self._reader.media:
                batch[side] = self.images(self._reader, name, rows, pool)
        return batch


def _pairs(families: Tensor | list[Any], own: Any, from_own: bool) -> I64:
    """Rows (n, 2) of source and target, in the order of the families."""
    _, member = np.unique(np.array(list(families), dtype=np.str_), return_inverse=True)
    ordered = np.argsort(member, kind="stable")
    ends = np.flatnonzero(np.diff(member[ordered])) + 1
    pairs = []
    for rows in sorted(np.split(ordered, ends), key=lambda rows: int(rows[0]) if len(rows) else 0):
        sources = rows[own[rows]] if from_own else rows
        pairs += [(a, b) for a in sources for b in rows if a != b]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
