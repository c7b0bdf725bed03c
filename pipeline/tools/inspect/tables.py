"""The small columns of a config in memory, by file and split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.tools.inspect.manifest import Listed
from spfem_data.schema import COLUMNS

TAKE_OF = {
    "take_id": "frame",
    "take_a": "frame_a",
    "take_b": "frame_b",
    "source_take": "source_frame",
    "source_take_id": "source_frame",
    "reference_take": "reference_frame",
}
"""Columns that name a take, each with the column of its frame number, in any config."""
_ALSO = (
    "utterance_id", "split", "speaker", "sentence", "dataset", "emotion", "n_frames", "family_id",
    "is_reconstruction",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Chosen columns of one file."""

    listed: Listed
    table: pa.Table


def names(config: str) -> list[str]:
    """The key and reference columns of a config."""
    wanted = {*_ALSO, *TAKE_OF, *TAKE_OF.values(), key_of(config)}
    return [c.name for c in COLUMNS[config] if c.name in wanted and not pa.types.is_list(c.type)]


def key_of(config: str) -> str:
    """The key column: the first, by the schema's convention."""
    return COLUMNS[config][0].name


def read(folder: Path, files: Sequence[Listed], columns: Sequence[str]) -> list[Part]:
    """Read columns of some files; errors of pyarrow are passed on."""
    parts = []
    for one in files:
        table = pq.read_table(folder / one.path, columns=list(columns), partitioning=None)
        table.validate(full=True)  # otherwise invalid text would fail on use
        parts.append(Part(one, table))
    return parts


def column(parts: Sequence[Part], name: str) -> pa.ChunkedArray:
    """One column over all files."""
    return pa.chunked_array([c for part in parts for c in part.table[name].chunks], pa.string())


def rows_where(mask: pa.ChunkedArray | pa.Array) -> list[int]:
    """The rows at which a mask is true; null counts as false."""
    values = pc.fill_null(mask, False)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return [int(row) for row in np.flatnonzero(values.to_numpy(zero_copy_only=False))]
