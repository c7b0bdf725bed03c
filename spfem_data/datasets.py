"""Torch datasets over the shards: whole batches, decoded into one tensor, scalars as columns.

A sample that crosses processes row by row costs more than its decoding, and twenty scalars collated
one by one cost as much again; so a batch is read, decoded and collated in one call. `shards.loader`
feeds a loop with them; a `torch.utils.data.DataLoader` needs `collate_fn=identity_collate`:

    pairs = Pairs("data/demo/shards", "train", where=[("mouth_agreement", ">", 0.8)])
    loader = DataLoader(pairs, batch_size=32, shuffle=True, collate_fn=identity_collate)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch.utils.data import Dataset

from spfem_data.columns import Column, as_column
from spfem_data.errors import TableError
from spfem_data.images import BadPicture, Blocks, Encoded, ImageFormat, decode_into
from spfem_data.random_access import Blobs
from spfem_data.reader import Condition, Shards
from spfem_data.rng import F64, I64, Draws

Batch = dict[str, Any]
"""Pictures and numbers as tensors, the rest as lists."""

AS_STORED = ImageFormat()


def identity_collate(batch: Batch) -> Batch:
    """A collate function for batches that are collated already."""
    return batch


class Rows:
    """Chosen rows of a config: scalars from memory, pictures from their places in the files.

    Holds no open file and no table until it is used; pickled or forked, each process opens its own.

    Parameters
    ----------
    columns
        None means all; pictures and sounds among them are read when asked for by name.
    where
        Conditions on columns, all to be met; null meets none.
    """

    def __init__(
        self, shards: Shards, columns: Sequence[str] | None, where: Sequence[Condition] = ()
    ) -> None:
        self.shards, self.where = shards, tuple(where)
        shards.check_columns(columns or ())
        names = shards.schema.names if columns is None else columns
        media = [name for name in names if shards.is_media(name)]
        self.media = tuple(media)
        self.plain = tuple(name for name in names if name not in media)
        self.chosen = shards.select(where)
        self._forget()

    def __len__(self) -> int:
        return len(self.chosen)

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._columns: dict[str, Column] = {}
        self._blobs = Blobs(self.shards)
        self.blocks = Blocks()

    def __getstate__(self) -> dict[str, Any]:
        own = {"_pid", "_columns", "_blobs", "blocks"}
        return {name: value for name, value in vars(self).items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def load(self, names: Sequence[str]) -> None:
        """Hold these columns in memory, if they are not held."""
        missing = [name for name in names if name not in self._columns]
        if missing:
            table = self.shards.table(missing, self.chosen)
            self._columns |= {name: as_column(table[name]) for name in missing}

    def values(self, name: str) -> torch.Tensor | list[Any]:
        """A whole column."""
        self.load([name])
        return self._columns[name].take(np.arange(len(self)))

    def scalars(self, indices: I64) -> Batch:
        """The columns asked for, of some rows."""
        self.load(self.plain)
        return {name: self._columns[name].take(indices) for name in self.plain}

    def column(self, name: str, indices: I64) -> Any:
        """One column of some rows."""
        self.load([name])
        return self._columns[name].take(indices)

    def bytes_of(self, name: str, indices: I64) -> list[bytes]:
        """The files of a media column."""
        return self._blobs.read(name, self.chosen[indices])

    def pictures(
        self, name: str, indices: I64, form: ImageFormat, pool: Executor | None
    ) -> torch.Tensor:
        """The pictures of a column: uint8 (n, 3, h, w), as stored but for the order of colours.

        Raises
        ------
        TableError
            Where a picture is damaged, naming it.
        """
        files = self.bytes_of(name, indices)
        try:
            return decode_into(files, form.order, self.blocks, pool)
        except BadPicture as bad:
            at = self.chosen[indices[[bad.number]]]
            key = (int(at.file[0]), int(at.group[0]), name)
            raise TableError(
                f"{self._blobs.name(key, int(at.row[0]))}: {bad.problem}; "
                "fetch or build the file again"
            ) from bad

    def identity(self) -> list[object]:
        """What a saved position must find again: the files and the choice."""
        names, files = self.shards.names, self.shards.files
        sizes = [(n, p.stat().st_size) for n, p in zip(names, files, strict=True)]
        return [self.shards.config, self.shards.split, sizes, list(self.where), len(self)]


class Samples(Dataset[Batch]):
    """What a loader draws from: samples by index, whole batches at a time.

    Parameters
    ----------
    form
        How pictures are given.
    threads
        How many decode at a time where a batch is asked for by `dataset[...]`; a `Loader` has
        threads of its own.
    """

    def __init__(self, form: ImageFormat, threads: int) -> None:
        self.form, self.threads = form, threads
        self.encoded = False
        """Whether pictures are left as files, for a device that decodes."""
        self._pool: ThreadPoolExecutor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_pool": None}

    def __len__(self) -> int:
        raise NotImplementedError

    def rows(self) -> Sequence[Rows]:
        """The rows that it reads; the first are those that its index runs over."""
        raise NotImplementedError

    def take(self, indices: I64, draws: Draws, pool: Executor | None = None) -> Batch:
        """A batch with pictures as decoded: uint8, of the size stored."""
        raise NotImplementedError

    def identity(self) -> list[object]:
        """What a saved position must find again."""
        return [type(self).__name__, len(self), *(rows.identity() for rows in self.rows())]

    def runs(self) -> list[int]:
        """Lengths of the parts of the index that lie together in the files."""
        return self.rows()[0].chosen.runs()

    def weights(self, column: str) -> F64:
        """A column of numbers, as weights of the samples.

        Raises
        ------
        TableError
            Where it does not hold numbers.
        """
        found = self.rows()[0].values(column)
        if not isinstance(found, torch.Tensor) or found.ndim != 1:
            raise TableError(f"weights={column!r}: the column does not hold numbers for all rows")
        return found.numpy().astype(np.float64)

    def finish(self, batch: Batch, device: torch.device | None = None) -> Batch:
        """Pictures decoded where they are not, scaled and mapped, on the device they lie on."""
        done: Batch = {}
        for name, value in batch.items():
            if isinstance(value, Encoded):
                assert device is not None
                value = value.decode(device, self.form.order)
            if isinstance(value, torch.Tensor) and name in self.pictures():
                value = self.form.finish(value)
            done[name] = value
        return done

    def pictures(self) -> frozenset[str]:
        """The keys of a batch that hold pictures."""
        raise NotImplementedError

    def picture(self, rows: Rows, name: str, indices: I64, pool: Executor | None) -> Any:
        """Pictures of rows: a tensor, or their files where a device decodes; any shape of rows."""
        flat = indices.reshape(-1)
        if self.encoded:
            return Encoded(rows.bytes_of(name, flat), indices.shape)
        pixels = rows.pictures(name, flat, self.form, pool)
        return pixels if indices.ndim == 1 else pixels.reshape(*indices.shape, *pixels.shape[1:])

    def __getitem__(self, index: int | slice) -> Batch:
        if isinstance(index, slice):
            return self.__getitems__(range(*index.indices(len(self))))
        return _first(self.__getitems__([index]))

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """A whole batch: what DataLoader asks for where a dataset offers it."""
        at = np.asarray(indices, np.int64)
        if self.threads > 1 and self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads)
        return self.finish(self.take(at, Draws.of_indices(at), self._pool))


class OneConfig(Samples):
    """Samples that are the rows of one config: its pictures, and the columns asked for.

    Parameters
    ----------
    folder, split
        As of `Shards`, and so are `cache` and `options`.
    where
        Conditions on columns, all to be met; null meets none.
    columns
        None means all columns.
    """

    CONFIG: ClassVar[str]

    def __init__(
        self,
        folder: str | Path,
        split: str,
        *,
        where: Sequence[Condition] = (),
        columns: Sequence[str] | None = None,
        form: ImageFormat = AS_STORED,
        threads: int = 2,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(form, threads)
        shards = Shards(folder, self.CONFIG, split, cache=cache, options=options)
        self._rows = Rows(shards, columns, where)

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self) -> Sequence[Rows]:
        """Of its config."""
        return (self._rows,)

    def pictures(self) -> frozenset[str]:
        """The columns of pictures, where asked for."""
        return frozenset(self._rows.media)

    def take(self, indices: I64, draws: Draws, pool: Executor | None = None) -> Batch:
        """Pictures (n, 3, h, w) and columns (n, ...)."""
        batch = self._rows.scalars(indices)
        for name in self._rows.media:
            batch[name] = self.picture(self._rows, name, indices, pool)
        return batch


class Pairs(OneConfig):
    """Frame pairs: `source` and `target` (n, 3, h, w), and the columns asked for."""

    CONFIG = "pairs"


class Windows(Samples):
    """Windows of consecutive frame pairs: pictures (n, t, 3, h, w), numbers (n, t), lists of t.

    `weights` (n, t) is the confidence of each pair, 0 for one below the threshold.

    Parameters
    ----------
    where
        Conditions on columns of the config `sequences`.
    columns
        Of the config `pairs`; None means all columns.
    length
        Frame pairs of a window: all that are stored, or fewer; then every run of so many pairs
        within a stored window is one.

    Raises
    ------
    TableError
        Where the stored windows are shorter than `length`.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str,
        *,
        where: Sequence[Condition] = (),
        columns: Sequence[str] | None = None,
        length: int | None = None,
        form: ImageFormat = AS_STORED,
        threads: int = 2,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(form, threads)
        self._rows = Rows(Shards(folder, "pairs", split, cache=cache, options=options), columns)
        found = Shards(folder, "sequences", split, cache=cache, options=options)
        self._windows = Rows(found, ["file", "rows", "weights"], where)
        self._index, self._weights = _windows(self._rows.shards, self._windows, length)

    def __len__(self) -> int:
        return len(self._index)

    def rows(self) -> Sequence[Rows]:
        """Of the configs pairs and sequences."""
        return self._rows, self._windows

    def runs(self) -> list[int]:
        """Windows whose first pairs share a row group."""
        return self._rows.chosen[self._index[:, 0]].runs()

    def weights(self, column: str) -> F64:
        """Of the windows' first pairs."""
        return np.asarray(super().weights(column)[self._index[:, 0]])

    def identity(self) -> list[object]:
        """Also the windows' length."""
        return [*super().identity(), list(self._index.shape)]

    def pictures(self) -> frozenset[str]:
        """source and target."""
        return frozenset(self._rows.media)

    def take(self, indices: I64, draws: Draws, pool: Executor | None = None) -> Batch:
        """Pictures (n, t, 3, h, w) and columns (n, t, ...)."""
        rows = self._index[indices]
        flat = self._rows.scalars(rows.reshape(-1))
        batch = {name: folded(value, rows.shape) for name, value in flat.items()}
        batch["weights"] = torch.from_numpy(self._weights[indices])
        for name in self._rows.media:
            batch[name] = self.picture(self._rows, name, rows, pool)
        return batch


def _windows(pairs: Shards, windows: Rows, length: int | None) -> tuple[I64, Any]:
    """Rows of `pairs` (n, length) and their weights, each window once, in the files' order."""
    n = len(windows)
    rows, weights, files = (windows.values(name) for name in ("rows", "weights", "file"))
    if not n:
        return np.empty((0, length or 1), np.int64), np.empty((0, length or 1), np.float32)
    if not isinstance(rows, torch.Tensor) or not isinstance(weights, torch.Tensor):
        raise TableError("the config sequences holds windows of several lengths; build it again")
    stored = rows.shape[1]
    wanted = stored if length is None else length
    if not 1 <= wanted <= stored:
        raise TableError(
            f"length={wanted}: the shards hold windows of {stored} frame pairs; "
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


def folded(value: Any, shape: tuple[int, ...]) -> Any:
    """A tensor or list of n * t rows as n of t."""
    if isinstance(value, torch.Tensor):
        return value.reshape(*shape, *value.shape[1:])
    n, length = shape
    return [value[k * length : (k + 1) * length] for k in range(n)]


def _first(batch: Mapping[str, Any]) -> Batch:
    return {name: value[0] for name, value in batch.items()}
