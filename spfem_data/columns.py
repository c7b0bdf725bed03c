"""The columns without media, held in memory once, so that a batch takes them by a single index.

Twenty Python scalars a sample, collated one by one, cost as much as decoding its pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from spfem_data.rng import I64


class Column(Protocol):
    """One column of the chosen rows."""

    def take(self, indices: I64) -> torch.Tensor | list[Any]:
        """The values of some rows, in their order."""
        ...


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers, or vectors of one length: given as tensors."""

    values: NDArray[Any]

    def take(self, indices: I64) -> torch.Tensor:
        """(n,) or (n, length)."""
        return torch.from_numpy(self.values[indices])


@dataclass(frozen=True, eq=False)
class Names:
    """Texts that repeat: a number a row, each text once."""

    codes: NDArray[np.int32]
    names: list[str | None]

    def take(self, indices: I64) -> list[Any]:
        """A list of texts."""
        return [self.names[code] for code in self.codes[indices].tolist()]


@dataclass(frozen=True, eq=False)
class Values:
    """Anything else: texts that do not repeat, numbers with nulls, lists of several lengths."""

    values: pa.Array

    def take(self, indices: I64) -> list[Any]:
        """A list of plain values."""
        return list(self.values.take(pa.array(indices)).to_pylist())


def as_column(chunks: pa.ChunkedArray) -> Column:
    """The column in the form that is taken from fastest.

    Missing reals are NaN; whole numbers with any missing stay a list with None.
    """
    if pa.types.is_dictionary(chunks.type):
        return _texts(chunks)
    kind = chunks.type
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        vectors = _vectors(chunks)
        return Numbers(vectors) if vectors is not None else Values(_one(chunks))
    if pa.types.is_floating(kind) or (_is_whole(kind) and chunks.null_count == 0):
        values = chunks.to_numpy()
        return Numbers(np.array(values))  # a copy: Arrow's memory is read-only
    return Values(_one(chunks))


def _is_whole(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _texts(chunks: pa.ChunkedArray) -> Column:
    array = _one(chunks.unify_dictionaries())
    if len(array.dictionary) * 2 > len(array):
        return Values(array.dictionary_decode())
    codes = array.indices.fill_null(len(array.dictionary)).to_numpy(zero_copy_only=False)
    return Names(np.array(codes, np.int32), [*array.dictionary.to_pylist(), None])


def _vectors(chunks: pa.ChunkedArray) -> NDArray[Any] | None:
    """(n, length) where all lists are of one length and hold numbers."""
    array = _one(chunks)
    inner = array.type.value_type
    if not (pa.types.is_floating(inner) or pa.types.is_integer(inner)) or array.null_count:
        return None
    flat = array.flatten()
    length, left = divmod(len(flat), max(len(array), 1))
    if left or flat.null_count or (pa.types.is_list(array.type) and not _even(array, length)):
        return None
    return np.array(flat.to_numpy(zero_copy_only=False)).reshape(len(array), length)


def _even(array: pa.ListArray, length: int) -> bool:
    return bool((np.diff(array.offsets.to_numpy()) == length).all())


def _one(chunks: pa.ChunkedArray) -> pa.Array:
    return chunks.combine_chunks() if chunks.num_chunks != 1 else chunks.chunk(0)
