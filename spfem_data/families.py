"""Pairs with one mouth out of the config `families`: any two pictures of a family.

pairs = Families("data/demo/shards", "train", where=[("clarity_rise", ">", 0.3)])
batch = pairs[:8]   # source, target (n, 3, h, w), and both pictures' columns
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from spfem_data.datasets import AS_STORED, Batch, OneConfig
from spfem_data.errors import TableError
from spfem_data.images import ImageFormat
from spfem_data.reader import Condition
from spfem_data.rng import F64, I64, Draws

_SHARED = ("family_id", "speaker", "take_id", "frame")


class Families(OneConfig):
    """Ordered pairs of two different pictures of one family: `source` and `target` (n, 3, h, w).

    Columns of both pictures are there as `source_<column>` and `target_<column>`; what a family
    shares (family_id, speaker, take_id, frame) once. Both pictures are synthetic: the indicator of
    SSERD's eq. 14 is 1.

    Parameters
    ----------
    where
        Conditions on columns, which both pictures must meet; null meets none.
    columns
        Of each picture; None means all.
    from_own
        True: the source is always the reconstruction, as SSERD's eq. 12 makes pairs. False: any
        two, in both directions.

    Raises
    ------
    TableError
        Where `where` leaves no two pictures of any family.
    """

    CONFIG = "families"

    def __init__(
        self,
        folder: str | Path,
        split: str,
        *,
        where: Sequence[Condition] = (),
        columns: Sequence[str] | None = None,
        from_own: bool = False,
        form: ImageFormat = AS_STORED,
        threads: int = 2,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            folder, split, where=where, columns=columns, form=form, threads=threads,
            cache=cache, options=options,
        )  # fmt: skip
        every = np.arange(len(self._rows))
        own = np.array(self._rows.column("is_reconstruction", every), dtype=np.bool_)
        self._index = _pairs(self._rows.column("family_id", every), own, from_own)
        if not len(self._index):
            raise TableError(f"{folder}: no two pictures of one family in {split!r} meet `where`")

    def __len__(self) -> int:
        return len(self._index)

    def runs(self) -> list[int]:
        """Pairs whose sources share a row group."""
        return self._rows.chosen[self._index[:, 0]].runs()

    def weights(self, column: str) -> F64:
        """Of the targets."""
        return np.asarray(super().weights(column)[self._index[:, 1]])

    def identity(self) -> list[object]:
        """Also which pictures are paired."""
        return [*super().identity(), len(self._index)]

    def pictures(self) -> frozenset[str]:
        """source and target."""
        return frozenset({"source", "target"} if self._rows.media else ())

    def take(self, indices: I64, draws: Draws, pool: Executor | None = None) -> Batch:
        """Pictures (n, 3, h, w) and columns (n, ...)."""
        batch: Batch = {}
        for side, rows in zip(("source", "target"), self._index[indices].T, strict=True):
            for name, value in self._rows.scalars(rows).items():
                batch[name if name in _SHARED else f"{side}_{name}"] = value
            for name in self._rows.media:
                batch[side] = self.picture(self._rows, name, rows, pool)
        return batch


def _pairs(families: Tensor | list[Any], own: Any, from_own: bool) -> I64:
    """Rows (n, 2) of source and target, families in their order."""
    _, member = np.unique(np.array(list(families), dtype=np.str_), return_inverse=True)
    ordered = np.argsort(member, kind="stable")
    ends = np.flatnonzero(np.diff(member[ordered])) + 1
    found = []
    for rows in sorted(np.split(ordered, ends), key=lambda rows: int(rows[0]) if len(rows) else 0):
        sources = rows[own[rows]] if from_own else rows
        found += [(a, b) for a in sources for b in rows if a != b]
    return np.array(found, dtype=np.int64).reshape(-1, 2)
