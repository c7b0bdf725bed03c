"""show: some rows of a config, as numbers and as images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import simplejpeg

from pipeline.errors import ParameterError, TableError, meant
from pipeline.tools.inspect.manifest import DAMAGE, refuse_pointers
from pipeline.tools.inspect.sheet import U8, contact_sheet
from spfem_data.conditions import Condition
from spfem_data.images import image_size
from spfem_data.labels import SPLITS
from spfem_data.reader import Selection, Shards
from spfem_data.schema import COLUMNS, CONFIGS

_CONDITION = re.compile(r"\s*(\w+)\s*(==|!=|<=|>=|<|>|=|\bin\b)\s*(.*?)\s*")


def conditions(config: str, texts: Sequence[str]) -> list[Condition]:
    """All of them; none where the config is unknown, which the reader refuses."""
    return [condition(config, text) for text in texts] if config in COLUMNS else []


def condition(config: str, text: str) -> Condition:
    """The condition that a text says.

    Raises
    ------
    ParameterError
        Where it is none, names no column, or its value is not of the column's type.
    """
    match = _CONDITION.fullmatch(text)
    if match is None or not match[3]:
        raise ParameterError(
            f"--where {text!r}: expected COLUMN, one of == != < <= > >= in, and a value, such as "
            "'mouth_agreement > 0.8' or 'emotion_b in happy,sad'"
        )
    name, operator, value = match.groups()
    kinds = {column.name: column.type for column in COLUMNS[config]}
    if name not in kinds:
        near = meant(name, kinds)
        raise ParameterError(
            f"--where {text!r}: {config} has no column {name!r}{near or '; see docs/columns.md'}"
        )
    read = _reader(kinds[name])
    try:
        if operator == "in":
            return name, "in", [read(part.strip()) for part in value.split(",")]
        return name, "==" if operator == "=" else operator, read(value)
    except ValueError as error:
        raise ParameterError(f"--where {text!r}: {value!r} is no {kinds[name]}") from error


def _reader(kind: pa.DataType) -> Callable[[str], Any]:
    if pa.types.is_integer(kind):
        return int
    if pa.types.is_floating(kind):
        return float
    if pa.types.is_boolean(kind):
        return _boolean
    if pa.types.is_string(kind):
        return str
    raise ParameterError(f"--where: columns of type {kind} are not compared")


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


Table = tuple[str, list[str], list[list[str]]]
_MAX_COLUMNS = 6
"""The number of rows that the terminal shows side by side."""
_MAX_WIDTH = 44

_WINDOW = ("source", "target")
"""The image columns of a window's frame pairs."""


@dataclass(frozen=True)
class Shown:
    """Rows, the images of each, and the number of rows that met the conditions."""

    config: str
    split: str
    found: int
    rows: list[dict[str, Any]]
    images: list[list[U8]]

    def table(self) -> Table:
        """The rows side by side, one line per column of the config."""
        rows = self.rows[:_MAX_COLUMNS]
        title = f"{self.config} {self.split}: {len(self.rows)} of {self.found} rows"
        if len(self.rows) > _MAX_COLUMNS:
            title += f", the first {_MAX_COLUMNS}"
        names = rows[0] if rows else ()
        lines = [[name, *_shortened([_text(row[name]) for row in rows])] for name in names]
        return title, ["column", *map(str, range(1, len(rows) + 1))], lines

    def as_json(self) -> dict[str, Any]:
        """The rows as JSON values, without images and audio."""
        return {"config": self.config, "split": self.split, "found": self.found, "rows": self.rows}

    def sheet(self, thumb_px: int) -> U8:
        """All images, one row of the sheet per row.

        Raises
        ------
        ParameterError
            When the config has no images, or no row was found.
        """
        if not any(self.images):
            raise ParameterError(f"--out: no image in {len(self.rows)} rows of {self.config}")
        return contact_sheet(self.images, thumb_px)


def show(folder: Path, config: str, split: str | None, where: Sequence[Condition], n: int) -> Shown:
    """Up to `n` rows that meet the conditions, evenly spaced over all that do.

    With `split` None, the first of train, validation and test that exists.

    Raises
    ------
    TableError
        When the folder has no such config or split, or a file or an image is damaged.
    """
    try:
        return _shown(folder, config, split or _first_split(folder, config), where, n)
    except TableError:
        refuse_pointers(folder.glob("data/*/*.parquet"))
        raise
    except DAMAGE as error:
        raise TableError(f"{folder}: damaged ({error}); see: spfem-data verify {folder}") from error


def _shown(folder: Path, config: str, split: str, where: Sequence[Condition], n: int) -> Shown:
    shards = Shards(folder, config, split)
    shards.check_columns(_images(config))
    chosen = shards.select(where)
    at = np.unique(np.linspace(0, len(chosen) - 1, min(n, len(chosen))).round().astype(int))
    rows = list(_rows(shards, Selection(chosen.file[at], chosen.group[at], chosen.row[at])))
    images = [_row_images(folder, config, split, row) for row in rows]
    return Shown(config, split, len(chosen), [_plain(config, row) for row in rows], images)


def _first_split(folder: Path, config: str) -> str:
    if config not in CONFIGS:
        raise TableError(
            f"no config {config!r}; the configs are: {', '.join(CONFIGS)}" + meant(config, CONFIGS)
        )
    there = [s for s in SPLITS if any((folder / "data" / config).glob(f"{s}-*.parquet"))]
    if not there:
        raise TableError(f"{folder} has no config {config!r}; is it a shards folder?")
    return there[0]


def _rows(shards: Shards, chosen: Selection) -> Iterator[dict[str, Any]]:
    for file, group, row in zip(chosen.file, chosen.group, chosen.row, strict=True):
        with shards.open(int(file)) as opened:
            table = opened.read_row_group(int(group), use_threads=False)
            yield table.slice(int(row), 1).to_pylist()[0]


def _row_images(folder: Path, config: str, split: str, row: dict[str, Any]) -> list[U8]:
    """The images of a row; of a window those of its frame pairs, sources before targets."""
    if config == "sequences":
        return _window(folder, split, row)
    return [_decoded(row[name]) for name in _images(config) if row[name] is not None]


def _images(config: str) -> list[str]:
    return [c.name for c in COLUMNS[config] if c.media == "image"]


def _window(folder: Path, split: str, row: dict[str, Any]) -> list[U8]:
    pairs = Shards(folder, "pairs", split)
    pairs.check_columns(_WINDOW)
    rows = list(_rows(pairs, pairs.locate(pairs.index_of(row["file"]), row["rows"])))
    return [_decoded(one[name]) for name in _WINDOW for one in rows]


def _decoded(file: Any) -> U8:
    content = file.get("bytes") if isinstance(file, dict) else None
    if not isinstance(content, bytes):
        raise ValueError("an image without bytes")
    image_size(content)
    return np.asarray(simplejpeg.decode_jpeg(content, "RGB"))


def _plain(config: str, row: dict[str, Any]) -> dict[str, Any]:
    return {c.name: row[c.name] for c in COLUMNS[config] if not c.media and c.name in row}


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        few = [_text(v) for v in value[:3]]
        return "[" + ", ".join(few) + (f", ... {len(value)}" if len(value) > 3 else "") + "]"
    return "" if value is None else str(value)


def _shortened(texts: Sequence[str]) -> list[str]:
    """The texts of one line, shortened as far as different texts stay different."""
    for n_end in (0, (_MAX_WIDTH - 3) // 2):
        head = (_MAX_WIDTH - 3) // 2 if n_end else _MAX_WIDTH - 3
        short = [
            text if len(text) <= _MAX_WIDTH else f"{text[:head]}...{text[len(text) - n_end :]}"
            for text in texts
        ]
        if len(set(short)) == len(set(texts)):
            return short
    return list(texts)
