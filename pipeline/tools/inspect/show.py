"""show: some rows of a config, in numbers and in pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from pipeline.errors import ParameterError, TableError, meant
from pipeline.tools.inspect.findings import DAMAGE
from pipeline.tools.inspect.sheet import U8, contact_sheet
from spfem_data.conditions import Condition
from spfem_data.images import image_size
from spfem_data.labels import SPLITS
from spfem_data.reader import Selection, Shards
from spfem_data.schema import COLUMNS, CONFIGS

Table = tuple[str, list[str], list[list[str]]]
_BESIDE = 6
"""So many rows stand beside each other in the terminal."""
_WIDEST = 44

_WINDOW = ("source", "target")
"""The pictures of a window's frame pairs."""


@dataclass(frozen=True)
class Shown:
    """Rows, the pictures of each, and how many rows there were to choose from."""

    config: str
    split: str
    found: int
    rows: list[dict[str, Any]]
    pictures: list[list[U8]]

    def table(self) -> Table:
        """The rows as columns beside each other, one line a column of the config."""
        rows = self.rows[:_BESIDE]
        title = f"{self.config} {self.split}: {len(self.rows)} of {self.found} rows"
        if len(self.rows) > _BESIDE:
            title += f", the first {_BESIDE}"
        lines = [[name, *(_told(row[name]) for row in rows)] for name in (rows[0] if rows else ())]
        return title, ["column", *map(str, range(1, len(rows) + 1))], lines

    def as_json(self) -> dict[str, Any]:
        """The rows for machines, without pictures and sound."""
        return {"config": self.config, "split": self.split, "found": self.found, "rows": self.rows}

    def sheet(self, thumb_px: int) -> U8:
        """All pictures, a row of the sheet a row.

        Raises
        ------
        ParameterError
            Where the config has none, or no row was found.
        """
        if not any(self.pictures):
            raise ParameterError(f"--out: no picture in {len(self.rows)} rows of {self.config}")
        return contact_sheet(self.pictures, thumb_px)


def show(folder: Path, config: str, split: str | None, where: Sequence[Condition], n: int) -> Shown:
    """Up to `n` rows that meet the conditions, evenly spread over all that do.

    `split` None means the first of train, validation and test that is there.

    Raises
    ------
    TableError
        Where the folder holds no such config or split, or a file or a picture is damaged.
    """
    try:
        return _shown(folder, config, split or _first_split(folder, config), where, n)
    except DAMAGE as error:
        raise TableError(f"{folder}: damaged ({error}); see: spfem-data verify {folder}") from error


def _shown(folder: Path, config: str, split: str, where: Sequence[Condition], n: int) -> Shown:
    shards = Shards(folder, config, split)
    shards.check_columns(_images(config))
    chosen = shards.select(where)
    at = np.unique(np.linspace(0, len(chosen) - 1, min(n, len(chosen))).round().astype(int))
    rows = list(_rows(shards, Selection(chosen.file[at], chosen.group[at], chosen.row[at])))
    pictures = [_pictures(folder, config, split, row) for row in rows]
    return Shown(config, split, len(chosen), [_plain(config, row) for row in rows], pictures)


def _first_split(folder: Path, config: str) -> str:
    if config not in CONFIGS:
        raise TableError(
            f"no config {config!r}; there are: {', '.join(CONFIGS)}" + meant(config, CONFIGS)
        )
    there = [s for s in SPLITS if any((folder / "data" / config).glob(f"{s}-*.parquet"))]
    if not there:
        raise TableError(f"{folder} holds no config {config!r}; is it a folder of shards?")
    return there[0]


def _rows(shards: Shards, chosen: Selection) -> Iterator[dict[str, Any]]:
    for file, group, row in zip(chosen.file, chosen.group, chosen.row, strict=True):
        with shards.open(int(file)) as opened:
            table = opened.read_row_group(int(group), use_threads=False)
            yield table.slice(int(row), 1).to_pylist()[0]


def _pictures(folder: Path, config: str, split: str, row: dict[str, Any]) -> list[U8]:
    """The pictures of a row; of a window those of its frame pairs, sources before targets."""
    if config == "sequences":
        return _window(folder, split, row)
    return [_decoded(row[name]) for name in _images(config) if row[name] is not None]


def _images(config: str) -> list[str]:
    return [c.name for c in COLUMNS[config] if c.media == "image"]


def _window(folder: Path, split: str, row: dict[str, Any]) -> list[U8]:
    pairs = Shards(folder, "pairs", split)
    pairs.check_columns(_WINDOW)
    found = list(_rows(pairs, pairs.locate(pairs.index_of(row["file"]), row["rows"])))
    return [_decoded(one[name]) for name in _WINDOW for one in found]


def _decoded(file: Any) -> U8:
    content = file.get("bytes") if isinstance(file, dict) else None
    if not isinstance(content, bytes):
        raise ValueError("a picture without bytes")
    image_size(content)
    return np.asarray(simplejpeg.decode_jpeg(content, "RGB"))


def _plain(config: str, row: dict[str, Any]) -> dict[str, Any]:
    return {c.name: row[c.name] for c in COLUMNS[config] if not c.media and c.name in row}


def _told(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        few = [_told(v) for v in value[:3]]
        text = "[" + ", ".join(few) + (f", ... {len(value)}" if len(value) > 3 else "") + "]"
    else:
        text = "" if value is None else str(value)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."
