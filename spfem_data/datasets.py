"""Torch datasets over the shards that return whole batches.

Passing samples between processes one by one, and collating twenty scalars per sample, costs more
than decoding the images. So a batch is read, decoded and collated in one call. Use them with
`spfem_data.Loader`, or in a `torch.utils.data.DataLoader` with `collate_fn=identity_collate`:

    pairs = Pairs("data/demo/shards", "train", where=[("mouth_agreement", ">", 0.8)])
    loader = DataLoader(pairs, batch_size=32, shuffle=True, collate_fn=identity_collate)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from reprlib import repr as short
from typing import Any, ClassVar

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

from spfem_data.column_reader import Column, as_column
from spfem_data.conditions import Condition
from spfem_data.errors import PipelineError, TableError
from spfem_data.images import BufferPool, EncodedImages, ImageFormat, InvalidImage, decode_into
from spfem_data.process_local import ProcessLocal, share
from spfem_data.random_access import MediaReader
from spfem_data.reader import Shards
from spfem_data.rng import F64, I64, KeyedRng

Batch = dict[str, Any]
"""Images and numbers as tensors, everything else as lists."""

AS_STORED = ImageFormat()


class _CollatedBatch(Batch):
    """What `DataLoader` receives: its default collate function expects a list of samples."""

    def __missing__(self, key: object) -> Any:
        if key == 0:
            raise PipelineError("pass collate_fn=identity_collate to DataLoader: the datasets of "
                                "spfem_data return whole batches")  # fmt: skip
        raise KeyError(key)


def identity_collate(batch: Batch) -> Batch:
    """A collate function for batches that are already collated."""
    return batch


class ColumnReader(ProcessLocal):
    """Selected rows of a config: scalars from memory, images from their positions in the files.

    Files are opened and columns loaded on first use, in each process that unpickles it.

    Parameters
    ----------
    columns
        None: all. Media columns are read only if they are named.
    where
        Conditions that must all hold; null meets none.
    """

    _LOCAL: ClassVar[tuple[str, ...]] = ("_columns", "_media_reader", "buffers")

    def __init__(
        self,
        shards: Shards,
        columns: Sequence[str] | None,
        where: Sequence[Condition] | None = (),
    ) -> None:
        self.shards = shards
        shards.check_columns(() if columns is None else columns)
        names = list(dict.fromkeys(shards.schema.names if columns is None else columns))
        self.media = tuple(name for name in names if shards.is_media(name))
        self.plain = tuple(name for name in names if name not in self.media)
        self.selection = shards.select(where)
        self._start()

    def __len__(self) -> int:
        return len(self.selection)

    def _reset(self) -> None:
        # a forked child keeps the loaded columns, whose memory it shares
        self._columns: dict[str, Column] = vars(self).get("_columns", {})
        self._media_reader = MediaReader(self.shards)
        self.buffers = BufferPool()

    def load(self, names: Sequence[str]) -> None:
        """Load these columns into memory, unless they are loaded."""
        missing = [name for name in names if name not in self._columns]
        if missing:
            table = self.shards.table(missing, self.selection)
            self._columns |= {name: as_column(table[name]) for name in missing}

    def values(self, name: str) -> torch.Tensor | list[Any]:
        """A whole column."""
        values: torch.Tensor | list[Any] = self.column(name, np.arange(len(self)))
        return values

    def scalars(self, indices: I64) -> Batch:
        """The requested columns other than media, of some rows."""
        self.load(self.plain)
        return {name: self._columns[name].take(indices) for name in self.plain}

    def column(self, name: str, indices: I64) -> Any:
        """One column of some rows."""
        self.load([name])
        return self._columns[name].take(indices)

    def bytes_of(self, name: str, indices: I64) -> list[bytes]:
        """The files of a media column."""
        return self._media_reader.read(name, self.selection[indices])

    def images(
        self, name: str, indices: I64, image_format: ImageFormat, pool: Executor | None
    ) -> torch.Tensor:
        """The images of a column: uint8 (n, 3, h, w), of the stored size, in the colour order.

        Raises
        ------
        TableError
            If an image is damaged, with its position.
        """
        files = self.bytes_of(name, indices)
        try:
            return decode_into(files, image_format.order, self.buffers, pool)
        except InvalidImage as invalid:
            row = self.selection[indices[[invalid.number]]]
            key = (int(row.file[0]), int(row.group[0]), name)
            raise TableError(
                f"{self._media_reader.name(key, int(row.row[0]))}: {invalid.problem}; "
                "fetch or build the file again"
            ) from invalid

    @cached_property
    def identity(self) -> list[object]:
        """The files and a digest of the selected rows, however the selection was written."""
        rows = self.shards.row_numbers(self.selection).astype("<i8")
        return [*self.shards.identity, len(rows), sha256(rows.tobytes()).hexdigest()]


class BatchDataset(ProcessLocal, Dataset[Batch]):
    """Base of the datasets: samples by index, in whole batches.

    Parameters
    ----------
    image_format
        Format of the images.
    threads
        Number of decoding threads for `dataset[...]` and `DataLoader`; a `Loader` has its own.
    """

    IMAGES: ClassVar[tuple[str, ...]] = ()
    """The keys of a batch that hold images; empty: the image columns of the first reader."""
    _LOCAL: ClassVar[tuple[str, ...]] = ("_pool",)
    _readers: tuple[ColumnReader, ...]
    """Of its configs."""
    _rows: I64 | None = None
    """(n,) of each sample, its row of the first reader; None: all rows."""
    _settings: Sequence[object] = ()
    """What else must be equal to resume from a saved position."""

    def __init__(self, image_format: ImageFormat, threads: int) -> None:
        if not isinstance(image_format, ImageFormat):
            raise PipelineError(f"image_format={image_format!r}: expected ImageFormat(...)")
        self.image_format, self.threads = image_format, threads
        self.encoded = False
        """Whether images stay encoded, for a device that decodes them."""
        self._start()

    def _reset(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def __len__(self) -> int:
        return len(self.readers()[0] if self._rows is None else self._rows)

    def readers(self) -> Sequence[ColumnReader]:
        """The readers of its configs; the index refers to the rows of the first one."""
        return self._readers

    def read_batch(self, indices: I64, rng: KeyedRng, pool: Executor | None = None) -> Batch:
        """A batch whose images are decoded only: uint8, of the stored size."""
        raise NotImplementedError

    def identity(self) -> list[object]:
        """What must be equal to resume from a saved position."""
        readers = [reader.identity for reader in self.readers()]
        return [type(self).__name__, len(self), *readers, *self._settings]

    def runs(self) -> list[int]:
        """Lengths of the parts of the index that share a row group."""
        selection = self.readers()[0].selection
        return (selection if self._rows is None else selection[self._rows]).runs()

    def weights(self, column: str) -> F64:
        """A numeric column as sampling weights (n,).

        Raises
        ------
        TableError
            If the column is not numeric.
        """
        values = self.readers()[0].values(column)
        if not isinstance(values, torch.Tensor) or values.ndim != 1:
            raise TableError(f"weights={column!r}: the column does not have a number in all rows")
        numbers = values.numpy().astype(np.float64)
        at = self._weighted_rows()
        return numbers if at is None else np.asarray(numbers[at])

    def _weighted_rows(self) -> I64 | None:
        """The rows of the first reader whose values are the samples' weights; None: all rows."""
        return self._rows

    def finish(self, batch: Batch, device: torch.device | None = None) -> Batch:
        """Decode images if they are encoded, then resize and normalise them on their device."""
        done: Batch = {}
        for name, value in batch.items():
            if isinstance(value, EncodedImages):
                assert device is not None
                value = value.decode(device, self.image_format.order)
            if isinstance(value, torch.Tensor) and name in self.image_keys():
                value = self.image_format.apply(value)
            done[name] = value
        return done

    def image_keys(self) -> frozenset[str]:
        """The keys of a batch that hold images."""
        return frozenset(self.IMAGES or self.readers()[0].media)

    def images(self, reader: ColumnReader, name: str, rows: I64, pool: Executor | None) -> Any:
        """Images of rows of any shape: a tensor, or encoded if a device decodes them."""
        flat = rows.reshape(-1)
        if self.encoded:
            return EncodedImages(reader.bytes_of(name, flat), rows.shape)
        pixels = reader.images(name, flat, self.image_format, pool)
        return pixels if rows.ndim == 1 else pixels.reshape(*rows.shape, *pixels.shape[1:])

    def __getitem__(self, index: int | slice | Sequence[int]) -> Batch:
        """One sample by its number, or a batch by a slice, a list of numbers or a mask."""
        if isinstance(index, slice):
            return self._batch(range(*index.indices(len(self))))
        if np.ndim(index):
            return self._batch(index)
        return {name: value[0] for name, value in self._batch([index]).items()}

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """A whole batch; `DataLoader` calls this if a dataset has it."""
        batch = self._batch(indices)
        if get_worker_info():
            share(batch)
        return _CollatedBatch(batch)

    def _batch(self, indices: Any) -> Batch:
        rows = _as_rows(indices, len(self))
        if self.threads > 1 and self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads)
        return self.finish(self.read_batch(rows, KeyedRng.of_indices(rows), self._pool))


def _as_rows(indices: Any, n: int) -> I64:
    """Indices (k,) from 0 to n - 1, of integers that may be negative or of a mask."""
    array = np.asarray(indices if len(indices) else np.empty(0, np.int64))
    if array.dtype == np.bool_ and array.shape == (n,):
        return np.flatnonzero(array)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise PipelineError(
            f"index {short(indices)}: expected an integer, a slice or a list of integers"
        )
    rows = array.astype(np.int64)
    outside = rows[(rows < -n) | (rows >= n)]
    if len(outside):
        raise IndexError(f"index {outside[0]} is out of range: there are {n} samples")
    return np.where(rows < 0, rows + n, rows)


class ConfigDataset(BatchDataset):
    """The rows of one config: its images and the requested columns.

    Parameters
    ----------
    folder, split, cache, options
        See `Shards`.
    where
        Conditions that must all hold; null meets none.
    columns
        None: all columns.
    """

    CONFIG: ClassVar[str]

    def __init__(
        self,
        folder: str | Path,
        split: str,
        *,
        where: Sequence[Condition] | None = (),
        columns: Sequence[str] | None = None,
        image_format: ImageFormat = AS_STORED,
        threads: int = 2,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(image_format, threads)
        shards = Shards(folder, self.CONFIG, split, cache=cache, options=options)
        self._reader = ColumnReader(shards, columns, where)
        self._readers = (self._reader,)

    def read_batch(self, indices: I64, rng: KeyedRng, pool: Executor | None = None) -> Batch:
        """Images (n, 3, h, w) and columns (n, ...)."""
        batch = self._reader.scalars(indices)
        for name in self._reader.media:
            batch[name] = self.images(self._reader, name, indices, pool)
        return batch


class Pairs(ConfigDataset):
    """Frame pairs: `source` and `target` (n, 3, h, w), and the requested columns."""

    CONFIG = "pairs"


class Windows(BatchDataset):
    """Windows of consecutive frame pairs: images (n, t, 3, h, w), numbers (n, t), lists of t.

    `weights` (n, t) is the confidence of each pair, 0 if it is below the threshold.

    Parameters
    ----------
    where
        Conditions on columns of the config `sequences`.
    columns
        Of the config `pairs`; None: all columns.
    length
        Frame pairs per window; None: as stored. If it is less, every run of this length within a
        stored window is a window.

    Raises
    ------
    TableError
        If the stored windows are shorter than `length`.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str,
        *,
        where: Sequence[Condition] | None = (),
        columns: Sequence[str] | None = None,
        length: int | None = None,
        image_format: ImageFormat = AS_STORED,
        threads: int = 2,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(image_format, threads)
        pairs = Shards(folder, "pairs", split, cache=cache, options=options)
        self._reader = ColumnReader(pairs, columns)
        sequences = Shards(folder, "sequences", split, cache=cache, options=options)
        self._windows = ColumnReader(sequences, ["file", "rows", "weights"], where)
        self._index, self._weights = _window_rows(pairs, self._windows, length)
        self._readers = self._reader, self._windows
        self._rows = self._index[:, 0]
        self._settings = [list(self._index.shape)]

    def read_batch(self, indices: I64, rng: KeyedRng, pool: Executor | None = None) -> Batch:
        """Images (n, t, 3, h, w) and columns (n, t, ...)."""
        rows = self._index[indices]
        flat = self._reader.scalars(rows.reshape(-1))
        batch = {name: regrouped(value, rows.shape[1]) for name, value in flat.items()}
        batch["weights"] = torch.from_numpy(self._weights[indices])
        for name in self._reader.media:
            batch[name] = self.images(self._reader, name, rows, pool)
        return batch


def _window_rows(pairs: Shards, windows: ColumnReader, length: int | None) -> tuple[I64, Any]:
    """Rows of `pairs` (n, length) and their weights, each window once, in file order."""
    n = len(windows)
    rows, weights, files = (windows.values(name) for name in ("rows", "weights", "file"))
    if not n:
        return np.empty((0, length or 1), np.int64), np.empty((0, length or 1), np.float32)
    if not isinstance(rows, torch.Tensor) or not isinstance(weights, torch.Tensor):
        raise TableError("the config sequences has windows of different lengths; build it again")
    stored = rows.shape[1]
    wanted = stored if length is None else length
    if not 1 <= wanted <= stored:
        raise TableError(
            f"length={wanted}: the shards have windows of {stored} frame pairs; "
            "set shards.windows.length and build them again"
        )
    starts = np.concatenate([[0], np.cumsum(pairs.file_rows)])
    at = rows.numpy() + starts[[pairs.index_of(file) for file in files]][:, None]
    parts = [at[:, k : k + wanted] for k in range(stored - wanted + 1)]
    weight = [weights.numpy()[:, k : k + wanted] for k in range(stored - wanted + 1)]
    if wanted == stored:
        return parts[0], weight[0]
    index, first = np.unique(np.concatenate(parts), axis=0, return_index=True)
    return index, np.concatenate(weight)[first]


def regrouped(value: Any, length: int) -> Any:
    """A tensor or list of n * length rows as n groups of `length`."""
    if isinstance(value, torch.Tensor):
        return value.reshape(len(value) // length, length, *value.shape[1:])
    return [value[k : k + length] for k in range(0, len(value), length)]
