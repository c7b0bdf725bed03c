"""Map-style torch datasets over the shards: whole batches, decoded in threads into one tensor.

A sample that crosses processes row by row costs more than its decoding, and twenty scalars collated
one by one cost as much again; so a batch is read, decoded and collated in one call. With a
`torch.utils.data.DataLoader`, give `collate_fn=as_it_is`:

    pairs = Pairs("data/demo/shards", "train", where=[("mouth_agreement", ">", 0.8)])
    loader = DataLoader(pairs, batch_size=32, shuffle=True, collate_fn=as_it_is)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from pipeline.shards.reader import Condition, Selection, Shards
from pipeline.shards.schema import COLUMNS

Batch = dict[str, Any]
"""Pictures as uint8 tensors, numbers as tensors, the rest as lists."""

_PICTURES = ("source", "target")


def as_it_is(batch: Batch) -> Batch:
    """A collate function for batches that are collated already."""
    return batch


class Rows:
    """Reads chosen rows of a config, batch by batch; holds no open file until it is used.

    Objects go to worker processes by pickling or forking: each process opens its own files.

    Parameters
    ----------
    columns
        None means all columns.
    threads
        How many decode at a time inside this process.
    """

    def __init__(self, shards: Shards, columns: Sequence[str] | None, threads: int) -> None:
        self.shards = shards
        self.columns = [
            c.name for c in COLUMNS[shards.config] if columns is None or c.name in columns
        ]
        self.threads = threads
        self._pid = -1

    def __getstate__(self) -> dict[str, Any]:
        return {"shards": self.shards, "columns": self.columns, "threads": self.threads, "_pid": -1}

    def read(self, chosen: Selection) -> pa.Table:
        """The chosen rows in the order asked for; each row group is read once."""
        self._open()
        keys, inverse = np.unique(
            np.stack([chosen.file, chosen.group]), axis=1, return_inverse=True
        )
        inverse = inverse.reshape(-1)
        parts, order = [], []
        for k, (file, group) in enumerate(keys.T.tolist()):
            members = np.flatnonzero(inverse == k)
            if file not in self._files:
                self._files[file] = self.shards.open(file)
            table = self._files[file].read_row_group(group, columns=self.columns, use_threads=False)
            parts.append(table.take(chosen.row[members]))
            order.append(members)
        back = np.argsort(np.concatenate(order), kind="stable")
        return pa.concat_tables(parts).take(back).select(self.columns)

    def decode(self, table: pa.Table) -> Batch:
        """The columns of a table: pictures (n, 3, h, w) uint8 RGB, numbers, the rest as lists."""
        self._open()
        batch: Batch = {}
        for name in table.schema.names:
            column = table[name].combine_chunks()
            if name in _PICTURES:
                batch[name] = self._pictures(column.field("bytes"))
            else:
                batch[name] = _plain(column)
        return batch

    def _pictures(self, column: pa.BinaryArray) -> torch.Tensor:
        files = [np.frombuffer(value.as_buffer(), np.uint8) for value in column]
        height, width, _, _ = simplejpeg.decode_jpeg_header(files[0])
        pixels = torch.empty((len(files), height, width, 3), dtype=torch.uint8)
        rows = pixels.numpy()
        jobs = self._pool.map(_decode_into, files, rows)
        for _ in jobs:  # drawing the results raises what a thread raised
            pass
        return pixels.permute(0, 3, 1, 2)

    def _open(self) -> None:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._files: dict[int, pq.ParquetFile] = {}
            self._pool = ThreadPoolExecutor(self.threads)


def _decode_into(file: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
    simplejpeg.decode_jpeg(file, "RGB", buffer=pixels)


def _plain(column: pa.Array) -> torch.Tensor | list[Any]:
    if pa.types.is_fixed_size_list(column.type):
        values = column.flatten().to_numpy(zero_copy_only=False)
        return torch.from_numpy(values.reshape(len(column), -1).copy())
    if pa.types.is_floating(column.type) or (
        pa.types.is_integer(column.type) and column.null_count == 0
    ):
        return torch.from_numpy(column.to_numpy(zero_copy_only=False).copy())
    return list(column.to_pylist())


class Pairs(Dataset[Batch]):
    """Frame pairs: `source` and `target` (n, 3, h, w) uint8 RGB, and the columns asked for.

    Parameters
    ----------
    folder, split
        As of `Shards`.
    where
        Conditions on columns, all to be met; null meets none.
    columns
        None means all columns.
    threads
        How many decode at a time inside one process.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str,
        *,
        where: Sequence[Condition] = (),
        columns: Sequence[str] | None = None,
        threads: int = 2,
    ) -> None:
        shards = Shards(folder, "pairs", split)
        self._rows = Rows(shards, columns, threads)
        self._chosen = shards.select(where)

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> Batch:
        return _first(self.__getitems__([index]))

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """A whole batch: what DataLoader asks for where a dataset offers it."""
        c, at = self._chosen, np.asarray(indices)
        return self._rows.decode(self._rows.read(Selection(c.file[at], c.group[at], c.row[at])))


class Windows(Dataset[Batch]):
    """Windows of consecutive frame pairs: pictures (n, t, 3, h, w), numbers (n, t), lists of t.

    Parameters
    ----------
    where
        Conditions on columns of the config `sequences`.
    columns
        Of the config `pairs`; None means all columns.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str,
        *,
        where: Sequence[Condition] = (),
        columns: Sequence[str] | None = None,
        threads: int = 2,
    ) -> None:
        pairs = Shards(folder, "pairs", split)
        self._rows = Rows(pairs, columns, threads)
        places = list(Shards(folder, "sequences", split).rows(["file", "rows"], where))
        self._places = [(pairs.index_of(row["file"]), row["rows"]) for row in places]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Batch:
        return _first(self.__getitems__([index]))

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """A whole batch of windows."""
        parts = [self._rows.shards.locate(*self._places[index]) for index in indices]
        chosen = Selection(
            np.concatenate([part.file for part in parts]),
            np.concatenate([part.group for part in parts]),
            np.concatenate([part.row for part in parts]),
        )
        flat = self._rows.decode(self._rows.read(chosen))
        return {name: _folded(value, len(parts)) for name, value in flat.items()}


def _folded(value: Any, n: int) -> Any:
    if isinstance(value, torch.Tensor):
        return value.reshape(n, -1, *value.shape[1:])
    length = len(value) // n
    return [value[k * length : (k + 1) * length] for k in range(n)]


def _first(batch: Mapping[str, Any]) -> Batch:
    return {name: value[0] for name, value in batch.items()}
