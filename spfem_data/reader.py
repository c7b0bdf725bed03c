"""Open a dataset's shards: files, schema versions, selections, rows.

Batches for training are in `spfem_data.datasets`.
"""

from __future__ import annotations

import hashlib
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

from spfem_data.conditions import Condition, check_conditions, to_expression
from spfem_data.errors import TableError, meant, unreadable
from spfem_data.labels import SPLITS
from spfem_data.parquet_pages import NotPlain, check_histograms, read_footer
from spfem_data.schema import CONFIGS, SCHEMA_VERSION, VERSION_KEY
from spfem_data.storage import DatasetFolder

_NAME = re.compile(r"-(\d{5})-of-(\d{5})\.parquet$")


@dataclass(frozen=True, eq=False)
class Selection:
    """Selected rows, in file order.

    Attributes
    ----------
    file, group, row
        (n,) number of the file, of the row group in the file, and of the row in the row group.
    """

    file: NDArray[np.int32]
    group: NDArray[np.int32]
    row: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, indices: NDArray[Any]) -> Selection:
        return Selection(self.file[indices], self.group[indices], self.row[indices])

    def runs(self) -> list[int]:
        """Number of selected rows in each row group, without empty ones."""
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
        The dataset's folder or URL, which contains `data/<config>/<split>-*.parquet`.
    config
        pairs, sequences, takes, ...
    split
        train, validation or test.
    cache
        Local folder for the files of a URL.
    options
        Arguments for fsspec to open the URL.

    Raises
    ------
    TableError
        If the folder, config or split does not exist, a file is missing or unreadable, or the
        files have an unknown schema version.
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
        place = DatasetFolder(str(folder), None if cache is None else str(cache), options or {})
        self.config, self.split = config, split
        if config not in CONFIGS:
            raise TableError(
                f"no config {config!r}; there are: {', '.join(CONFIGS)}" + meant(config, CONFIGS)
            )
        if split not in SPLITS:
            raise TableError(f"no split {split!r}; there are: {', '.join(SPLITS)}")
        files = place.files(f"data/{config}/{split}-*.parquet")
        self.names = _complete(place.root, config, split, list(files))
        self.files = [files[name] for name in self.names]
        for path in self.files:
            with reading(path):
                _check_version(path, pq.read_schema(path))
                check_histograms(path)

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of the files."""
        return pq.read_schema(self.files[0])

    @cached_property
    def identity(self) -> list[object]:
        """Config, split, and the names and SHA-256 of the footers of the files.

        A footer has the positions and statistics of all columns, so it changes with the content.
        """
        footers = []
        for name, path in zip(self.names, self.files, strict=True):
            with reading(path):
                footers.append([name, hashlib.sha256(read_footer(path)).hexdigest()])
        return [self.config, self.split, footers]

    @cached_property
    def _group_rows(self) -> list[list[int]]:
        """Number of rows in each row group of each file."""
        footers = []
        for path in self.files:
            with reading(path):
                footers.append(pq.read_metadata(path))
        return [[f.row_group(g).num_rows for g in range(f.num_row_groups)] for f in footers]

    def __len__(self) -> int:
        return sum(self.file_rows)

    @property
    def file_rows(self) -> list[int]:
        """Number of rows in each file."""
        return [sum(groups) for groups in self._group_rows]

    def is_media(self, column: str) -> bool:
        """Whether a column holds images or audio: a struct of bytes and path."""
        kind = self.schema.field(column).type
        return bool(pa.types.is_struct(kind)) and kind.get_field_index("bytes") >= 0

    def index_of(self, file: str) -> int:
        """The number of a file, by its name in the column `file` of the config sequences."""
        return self.names.index(file)

    def check_columns(self, names: Sequence[str]) -> None:
        """Check that the files have these columns.

        Raises
        ------
        TableError
            With the unknown name and all columns.
        """
        if isinstance(names, str):
            raise TableError(f"columns={names!r}: expected a list of names, [{names!r}]")
        for name in names:
            if name not in self.schema.names:
                raise TableError(
                    f"config {self.config!r} has no column {name!r}; it has: "
                    f"{', '.join(self.schema.names)}"
                )

    def select(self, where: Sequence[Condition] | None = ()) -> Selection:
        """The rows that meet all conditions; null meets none.

        Row groups are skipped by their statistics. Only the columns that the conditions name are
        read.

        Raises
        ------
        TableError
            If a condition is malformed, names an unknown column, or has a value of a type that the
            column cannot be compared with.
        """
        conditions = check_conditions(where)
        names = sorted({name for name, _, _ in conditions})
        self.check_columns(names)
        try:
            expression = to_expression(conditions)
            parts = [
                self._matching(number, group, expression, names)
                for number, path in enumerate(self.files)
                for group in _groups(path, expression)
            ]
        except (ValueError, TypeError, pa.ArrowNotImplementedError) as error:
            raise TableError(f"where={conditions}: {error}") from error
        except OSError as error:
            raise unreadable(self.files[0].parent, error) from error
        columns = np.concatenate([np.empty((3, 0), np.int32), *parts], axis=1)
        return Selection(*columns)

    def _matching(
        self, file: int, group: int, expression: pc.Expression | None, columns: list[str]
    ) -> NDArray[np.int32]:
        rows = np.arange(self._group_rows[file][group], dtype=np.int32)
        if expression is not None:
            table = self.open(file).read_row_group(group, columns=columns)
            table = table.append_column("__row", pa.array(rows))
            rows = table.filter(expression)["__row"].to_numpy()
        return np.stack([np.full_like(rows, file), np.full_like(rows, group), rows])

    def locate(self, file: int, indices: Sequence[int]) -> Selection:
        """Rows of a file, by their index in the file."""
        ends = np.cumsum(self._group_rows[file])
        rows = np.asarray(indices, np.int64)
        group = np.searchsorted(ends, rows, side="right")
        starts = np.concatenate([[0], ends])[group]
        columns = (np.full(len(rows), file), group, rows - starts)
        return Selection(*(column.astype(np.int32) for column in columns))

    def row_numbers(self, chosen: Selection) -> NDArray[np.int64]:
        """Row numbers (n,) in the concatenation of all files."""
        ends = np.cumsum([n for groups in self._group_rows for n in groups])
        starts = np.concatenate([[0], ends])[:-1]
        groups_before = np.cumsum([0, *map(len, self._group_rows)])[:-1]
        return np.asarray(starts[groups_before[chosen.file] + chosen.group] + chosen.row)

    def open(self, file: int) -> pq.ParquetFile:
        """A memory-mapped file, which the caller must close."""
        with reading(self.files[file]):
            return pq.ParquetFile(self.files[file], memory_map=True, pre_buffer=False)

    def table(self, columns: Sequence[str], chosen: Selection) -> pa.Table:
        """Columns other than media of selected rows, in file order. Reads one file at a time."""
        self.check_columns(columns)
        texts = [n for n in columns if pa.types.is_string(self.schema.field(n).type)]
        numbers, parts = self.row_numbers(chosen), []
        start = 0
        for file, path in enumerate(self.files):
            n = self.file_rows[file]
            rows = numbers[chosen.file == file] - start
            start += n
            if len(rows):
                with reading(path):
                    opened = pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False)
                    table = opened.read(columns=list(columns), use_threads=False)
                    parts.append(table if len(rows) == n else table.take(rows))
        if not parts:
            return self.schema.empty_table().select(list(columns))
        return pa.concat_tables(parts).select(list(columns)).unify_dictionaries()

    def rows(
        self, columns: Sequence[str] | None = None, where: Sequence[Condition] | None = ()
    ) -> Iterator[dict[str, Any]]:
        """All rows that meet the conditions, as Python values; reads one row group at a time."""
        self.check_columns(columns or ())
        chosen = self.select(where)
        for number in range(len(self.files)):
            with self.open(number) as file:
                for group in np.unique(chosen.group[chosen.file == number]):
                    wanted = chosen.row[(chosen.file == number) & (chosen.group == group)]
                    with reading(self.files[number]):
                        table = file.read_row_group(int(group), columns=columns, use_threads=False)
                        rows = table.take(wanted).to_pylist()
                    yield from rows


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Report an unreadable or damaged file as a TableError."""
    try:
        yield
    except (pa.ArrowException, NotPlain, OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def _complete(root: str, config: str, split: str, names: Sequence[str]) -> list[str]:
    """The names of all files of a split, in order; one that is missing is an error."""
    numbered = [(name, match) for name in names if (match := _NAME.search(name))]
    where = f"{root}/data/{config}"
    if not numbered:
        raise TableError(f"{where} has no file of the split {split!r}")
    promised = {int(match[2]) for _, match in numbered}
    if len(promised) != 1 or [int(m[1]) for _, m in numbered] != list(range(max(promised))):
        raise TableError(
            f"{where}: {len(numbered)} files of {split!r}, but their names say "
            f"{' and '.join(map(str, sorted(promised)))}; fetch or build them again"
        )
    return [name for name, _ in numbered]


def _check_version(path: Path, schema: pa.Schema) -> None:
    version = (schema.metadata or {}).get(VERSION_KEY, b"none").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        raise TableError(
            f"{path}: schema version {version}; this package reads {SCHEMA_VERSION}: "
            "install the release that wrote it, or build the shards again"
        )


def _groups(path: Path, expression: pc.Expression | None) -> list[int]:
    """The row groups of a file whose statistics do not exclude a match."""
    fragment = ds.ParquetFileFormat().make_fragment(str(path), LocalFileSystem())
    if expression is not None:
        fragment = fragment.subset(filter=expression)
    return [group.id for group in fragment.row_groups]
