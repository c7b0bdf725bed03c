"""Opening a dataset's shards: files, versions, selections, rows.

Needs the base install alone. What feeds a training loop stands in `shards.batches`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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

from pipeline.errors import TableError
from pipeline.shards.schema import CONFIGS, SCHEMA_VERSION, VERSION_KEY

Condition = tuple[str, str, Any]
"""Column, one of == != < <= > >= in, value: `("mouth_agreement", ">", 0.8)`."""

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


class Shards:
    """The files of one config and split of a dataset.

    Parameters
    ----------
    folder
        The dataset's folder: it holds `data/<config>/<split>-*.parquet`.
    config
        pairs, sequences or takes.
    split
        train, validation or test.

    Raises
    ------
    TableError
        Where there is no such config or split, where one of its files is missing, or where the
        files are of a schema version that this package does not know.
    """

    def __init__(self, folder: str | Path, config: str, split: str) -> None:
        self.folder, self.config, self.split = Path(folder), config, split
        if config not in CONFIGS:
            raise TableError(f"no config {config!r}; there are: {', '.join(CONFIGS)}")
        self.files = _complete(self.folder / "data" / config, split)
        for path in self.files:
            _check_version(path, pq.read_schema(path))

    @cached_property
    def _group_rows(self) -> list[list[int]]:
        """Rows of every row group of every file."""
        footers = [pq.read_metadata(path) for path in self.files]
        return [[f.row_group(g).num_rows for g in range(f.num_row_groups)] for f in footers]

    def __len__(self) -> int:
        return sum(map(sum, self._group_rows))

    def index_of(self, file: str) -> int:
        """The number of a file named as in the column `file` of the config sequences."""
        return self.files.index(self.folder / file)

    def select(self, where: Sequence[Condition] = ()) -> Selection:
        """The rows that meet all conditions; null meets none.

        Row groups are passed over by their statistics, and of the others only the columns that the
        conditions name are read.
        """
        expression = pq.filters_to_expression([where]) if where else None
        parts = [
            self._chosen(number, group, expression, sorted({name for name, _, _ in where}))
            for number, path in enumerate(self.files)
            for group in _groups(path, expression)
        ]
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

    def open(self, file: int) -> pq.ParquetFile:
        """A file, mapped into memory; the caller keeps and closes it."""
        return pq.ParquetFile(self.files[file], memory_map=True, pre_buffer=False)

    def rows(
        self, columns: Sequence[str] | None = None, where: Sequence[Condition] = ()
    ) -> Iterator[dict[str, Any]]:
        """All rows that meet the conditions, as plain values, row group by row group."""
        chosen = self.select(where)
        for number in range(len(self.files)):
            with self.open(number) as file:
                for group in np.unique(chosen.group[chosen.file == number]):
                    wanted = chosen.row[(chosen.file == number) & (chosen.group == group)]
                    table = file.read_row_group(int(group), columns=columns, use_threads=False)
                    yield from table.take(wanted).to_pylist()


def _complete(folder: Path, split: str) -> list[Path]:
    """The files of a split in order.

    Raises
    ------
    TableError
        Where there is none, or not as many as their names promise.
    """
    files = sorted(folder.glob(f"{split}-*.parquet"))
    names = [match for path in files if (match := _NAME.search(path.name))]
    if not names:
        raise TableError(f"{folder} holds no file of the split {split!r}")
    promised = {int(match[2]) for match in names}
    if len(promised) != 1 or [int(match[1]) for match in names] != list(range(max(promised))):
        raise TableError(
            f"{folder}: {len(names)} files of {split!r} where their names promise "
            f"{' and '.join(map(str, sorted(promised)))}; fetch or build them again"
        )
    return files


def _check_version(path: Path, schema: pa.Schema) -> None:
    found = (schema.metadata or {}).get(VERSION_KEY, b"none").decode()
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
