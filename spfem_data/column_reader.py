"""Columns other than media, held in memory so that a batch is one indexing operation per column.

Collating twenty Python scalars per sample would cost as much as decoding its images.
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
    """One column of the selected rows."""

    def take(self, indices: I64) -> torch.Tensor | list[Any]:
        """The values of some rows, in that order."""
        ...


@dataclass(frozen=True, eq=False)
class NumericColumn:
    """Numbers, or vectors of one length; returned as tensors."""

    values: NDArray[Any]

    def take(self, indices: I64) -> torch.Tensor:
        """(n,) or (n, length)."""
        return torch.from_numpy(self.values[indices])


@dataclass(frozen=True, eq=False)
class CategoricalColumn:
    """Strings that repeat: each is stored once, and each row has a code."""

    codes: NDArray[np.int32]
    names: list[str | None]

    def take(self, indices: I64) -> list[Any]:
        """A list of strings."""
        return [self.names[code] for code in self.codes[indices].tolist()]


@dataclass(frozen=True, eq=False)
class ObjectColumn:
    """Anything else: strings that do not repeat, numbers with nulls, lists of different lengths."""

    values: pa.Array

    def take(self, indices: I64) -> list[Any]:
        """A list of Python values."""
        return list(self.values.take(pa.array(indices)).to_pylist())


def as_column(chunks: pa.ChunkedArray) -> Column:
    """The column in the form that is fastest to index.

    A null is NaN in a column of floats. Integers with a null become a list with None.
    """
    if pa.types.is_dictionary(chunks.type):
        return _strings(chunks)
    kind = chunks.type
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        vectors = _vectors(chunks)
        return NumericColumn(vectors) if vectors is not None else ObjectColumn(_one(chunks))
    if pa.types.is_floating(kind) or (_is_integer(kind) and chunks.null_count == 0):
        values = chunks.to_numpy()
        return NumericColumn(np.array(values))  # a copy, because Arrow's memory is read-only
    return ObjectColumn(_one(chunks))


def _is_integer(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _strings(chunks: pa.ChunkedArray) -> Column:
    array = _one(chunks.unify_dictionaries())
    if len(array.dictionary) * 2 > len(array):
        return ObjectColumn(array.dictionary_decode())
    codes = array.indices.fill_null(len(array.dictionary)).to_numpy(zero_copy_only=False)
    return CategoricalColumn(np.array(codes, np.int32), [*array.dictionary.to_pylist(), None])


def _vectors(chunks: pa.ChunkedArray) -> NDArray[Any] | None:
    """(n, length), or None unless all lists contain numbers and have one length."""
    array = _one(chunks)
    inner = array.type.value_type
    if not (pa.types.is_floating(inner) or pa.types.is_integer(inner)) or array.null_count:
        return None
    flat = array.flatten()
    length, rest = divmod(len(flat), max(len(array), 1))
    if (
        rest
        or flat.null_count
        or (pa.types.is_list(array.type) and not _same_length(array, length))
    ):
        return None
    return np.array(flat.to_numpy(zero_copy_only=False)).reshape(len(array), length)


def _same_length(array: pa.ListArray, length: int) -> bool:
    return bool((np.diff(array.offsets.to_numpy()) == length).all())


def _one(chunks: pa.ChunkedArray) -> pa.Array:
    return chunks.combine_chunks() if chunks.num_chunks != 1 else chunks.chunk(0)
