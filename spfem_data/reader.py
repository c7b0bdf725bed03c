"""Opening a dataset's shards: files, versions, selections, rows.

Needs the base install alone. What feeds a training loop stands in `shards.batches`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow.fs import LocalFileSystem

from spfem_data.errors import TableError, meant
from spfem_data.labels import SPLITS
from spfem_data.parquet_pages import NotPlain, check_histograms
from spfem_data.schema import CONFIGS, SCHEMA_VERSION, VERSION_KEY
from spfem_data.storage import Place

Condition = tuple[str, str, Any]
"""Column, one of == != < <= > >= in, value: `("mouth_agreement", ">", 0.8)`."""

_AGAIN = "fetch or build the file again"
_NAME = re.compile(r"-(\d{5})-of-(\d{5})\.parquet$")


@dataclass(frozen=True, eq=False)
class Selection:
    """The rows that a choice left, in the order of the files; row k of the choice is at index k.

    Attributes
    ----------
    file, group, row
        (n,) number of the file, of the row group in it, of the row in that.
    """

    file: NDArray[np.int32]
    group: NDArray[np.int32]
    row: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, indices: NDArray[Any]) -> Selection:
        return Selection(self.file[indices], self.group[indices], self.row[indices])

    def runs(self) -> list[int]:
        """How many rows lie together in one row group, group by group."""
        if not len(self):
            return []
        steps = np.flatnonzero((np.diff(self.file) != 0) | (np.diff(self.group) != 0)) + 1
        edges = np.concatenate([[0], steps, [len(self)]])
        return [int(n) for n in np.diff(edges)]


class Shards:
    """The files of one config and split of a dataset.

    Parameters
    ----------
    folder
        The dataset's folder or its URL: it holds `data/<config>/<split>-*.parquet`.
    config
        pairs, sequences, takes, ...
    split
        train, validation or test.
    cache
        Local folder for the files of a URL.
    options
        What fsspec needs to open the URL.

    Raises
    ------
    TableError
        Where there is no such folder, config or split, where one of its files is missing, or where
        the files are of a schema version that this package does not know.
    """

    def __init__(
        self,
        folder: str | Path,
        config: str,
        split: str,
        *,
        cache: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.place = Place(str(folder), None if cache is None else str(cache), dict(options or {}))
        self.config, self.split = config, split
        if config not in CONFIGS:
            raise TableError(
                f"no config {config!r}; there are: {', '.join(CONFIGS)}" + meant(config, CONFIGS)
            )
        if split not in SPLITS:
            raise TableError(f"no split {split!r}; there are: {', '.join(SPLITS)}")
        found = self.place.files(f"data/{config}/{split}-*.parquet")
        self.names = _complete(self.place.root, config, split, list(found))
        self.files = [found[name] for name in self.names]
        for path in self.files:
            with whole(path):
                _check_version(path, pq.read_schema(path))
                check_histograms(path)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns as the files have them."""
        return pq.read_schema(self.files[0])

    @cached_property
    def _group_rows(self) -> list[list[int]]:
        """Rows of every row group of every file."""
        footers = []
        for path in self.files:
            with whole(path):
                footers.append(pq.read_metadata(path))
        return [[f.row_group(g).num_rows for g in range(f.num_row_groups)] for f in footers]

    def __len__(self) -> int:
        return sum(self.file_rows)

    @property
    def file_rows(self) -> list[int]:
        """Rows of every file."""
        return [sum(groups) for groups in self._group_rows]

    def is_media(self, column: str) -> bool:
        """Whether a column holds pictures or sounds: a struct of bytes and path."""
        kind = self.schema.field(column).type
        return bool(pa.types.is_struct(kind)) and kind.get_field_index("bytes") >= 0

    def index_of(self, file: str) -> int:
        """The number of a file named as in the column `file` of the config sequences."""
        return self.names.index(file)

    def check_columns(self, names: Sequence[str]) -> None:
        """Refuse columns that the files do not have.

        Raises
        ------
        TableError
            Naming the column and what there is.
        """
        for name in names:
            if name not in self.schema.names:
                raise TableError(
                    f"config {self.config!r} has no column {name!r}; it has: "
                    f"{', '.join(self.schema.names)}"
                )

    def select(self, where: Sequence[Condition] = ()) -> Selection:
        """The rows that meet all conditions; null meets none.

        Row groups are passed over by their statistics, and of the others only the columns that the
        conditions name are read.

        Raises
        ------
        TableError
            Where a condition names no column, or compares it with what it cannot be compared with.
        """
        names = sorted({name for name, _, _ in where})
        self.check_columns(names)
        try:
            expression = pq.filters_to_expression([list(where)]) if where else None
            parts = [
                self._chosen(number, group, expression, names)
                for number, path in enumerate(self.files)
                for group in _groups(path, expression)
            ]
        except (ValueError, TypeError, pa.ArrowNotImplementedError) as error:
            raise TableError(f"where={list(where)}: {error}") from error
        except OSError as error:
            raise TableError(f"{self.config} cannot be read: {error}; {_AGAIN}") from error
        columns = np.concatenate([np.empty((3, 0), np.int32), *parts], axis=1)
        return Selection(*columns)

    def _chosen(
        self, file: int, group: int, expression: pc.Expression | None, columns: list[str]
    ) -> NDArray[np.int32]:
        rows = np.arange(self._group_rows[file][group], dtype=np.int32)
        if expression is not None:
            table = self.open(file).read_row_group(group, columns=columns)
            table = table.append_column("__row", pa.array(rows))
            rows = table.filter(expression)["__row"].to_numpy()
        return np.stack([np.full_like(rows, file), np.full_like(rows, group), rows])

    def locate(self, file: int, places: Sequence[int]) -> Selection:
        """Rows of a file, by their place in it."""
        ends = np.cumsum(self._group_rows[file])
        rows = np.asarray(places, np.int64)
        group = np.searchsorted(ends, rows, side="right")
        starts = np.concatenate([[0], ends])[group]
        columns = (np.full(len(rows), file), group, rows - starts)
        return Selection(*(column.astype(np.int32) for column in columns))

    def places(self, chosen: Selection) -> NDArray[np.int64]:
        """The rows' places in all files laid end to end."""
        ends = np.cumsum([n for groups in self._group_rows for n in groups])
        starts = np.concatenate([[0], ends])[:-1]
        groups_before = np.cumsum([0, *map(len, self._group_rows)])[:-1]
        return np.asarray(starts[groups_before[chosen.file] + chosen.group] + chosen.row)

    def open(self, file: int) -> pq.ParquetFile:
        """A file, mapped into memory; the caller keeps and closes it."""
        with whole(self.files[file]):
            return pq.ParquetFile(self.files[file], memory_map=True, pre_buffer=False)

    def table(self, columns: Sequence[str], chosen: Selection) -> pa.Table:
        """Columns without media of chosen rows, in the order of the files; one file at a time."""
        self.check_columns(columns)
        texts = [n for n in columns if pa.types.is_string(self.schema.field(n).type)]
        at, parts = self.places(chosen), []
        start = 0
        for number, path in enumerate(self.files):
            n = sum(self._group_rows[number])
            wanted = at[chosen.file == number] - start
            start += n
            if len(wanted):
                with whole(path):
                    file = pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False)
                    table = file.read(columns=list(columns), use_threads=False)
                    parts.append(table if len(wanted) == n else table.take(wanted))
        if not parts:
            return self.schema.empty_table().select(list(columns))
        return pa.concat_tables(parts).select(list(columns)).unify_dictionaries()

    def rows(
        self, columns: Sequence[str] | None = None, where: Sequence[Condition] = ()
    ) -> Iterator[dict[str, Any]]:
        """All rows that meet the conditions, as plain values, row group by row group."""
        self.check_columns(columns or ())
        chosen = self.select(where)
        for number in range(len(self.files)):
            with self.open(number) as file:
                for group in np.unique(chosen.group[chosen.file == number]):
                    wanted = chosen.row[(chosen.file == number) & (chosen.group == group)]
                    with whole(self.files[number]):
                        table = file.read_row_group(int(group), columns=columns, use_threads=False)
                        found = table.take(wanted).to_pylist()
                    yield from found


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Turn what Arrow says of a damaged file into a TableError."""
    try:
        yield
    except (pa.ArrowException, NotPlain, OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read: {error}; {_AGAIN}") from error


def _complete(root: str, config: str, split: str, found: Sequence[str]) -> list[str]:
    """The files of a split in order.

    Raises
    ------
    TableError
        Where there is none, or not as many as their names promise.
    """
    numbered = [(name, match) for name in found if (match := _NAME.search(name))]
    where = f"{root}/data/{config}"
    if not numbered:
        raise TableError(f"{where} holds no file of the split {split!r}")
    promised = {int(match[2]) for _, match in numbered}
    if len(promised) != 1 or [int(m[1]) for _, m in numbered] != list(range(max(promised))):
        raise TableError(
            f"{where}: {len(numbered)} files of {split!r} where their names promise "
            f"{' and '.join(map(str, sorted(promised)))}; fetch or build them again"
        )
    return [name for name, _ in numbered]


def _check_version(path: Path, schema: pa.Schema) -> None:
    found = (schema.metadata or {}).get(VERSION_KEY, b"none").decode(errors="replace")
    if found != str(SCHEMA_VERSION):
        raise TableError(
            f"{path}: schema version {found}; this package reads {SCHEMA_VERSION}: "
            "install the release that wrote it, or build the shards again"
        )


def _groups(path: Path, expression: pc.Expression | None) -> list[int]:
    """The row groups of a file that its statistics do not rule out."""
    fragment = ds.ParquetFileFormat().make_fragment(str(path), LocalFileSystem())
    if expression is not None:
        fragment = fragment.subset(filter=expression)
    return [group.id for group in fragment.row_groups]
