"""The frame file of a take as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.records import N_LANDMARKS
from pipeline.runtime.tables import read_table

F64 = NDArray[np.float64]


def landmarks_of(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """(n, 478, 3) landmarks in full-frame pixels, NaN where no face was found."""
    parts = [_chunk(chunk) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.empty((0, N_LANDMARKS, 3), np.float32)


def _chunk(chunk: pa.ListArray) -> NDArray[np.float32]:
    valid = chunk.is_valid().to_numpy(zero_copy_only=False)
    points = np.full((len(chunk), N_LANDMARKS, 3), np.nan, np.float32)
    points[valid] = chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, N_LANDMARKS, 3)
    return points


def read_columns(path: Path, names: Sequence[str]) -> dict[str, F64]:
    """Columns of a frame file as float64: (n, 478, 3) for `landmarks`, (n,) else; NaN for null."""
    table = read_table(path, columns=names)
    return {
        name: landmarks_of(table[name]).astype(np.float64)
        if name == "landmarks"
        else table[name].to_numpy(zero_copy_only=False).astype(np.float64)
        for name in names
    }
