"""Read a manifest, CSV or Parquet, as rows of text by column."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpora.naming import plain
from pipeline.errors import PipelineError

REQUIRED = ("path", "speaker", "emotion", "sentence")
OPTIONAL = ("level", "view", "take", "audio")
MAX_BYTES = 256 << 20
MAX_ROWS = 2_000_000
_DELIMITERS = ",;\t"
_SEPARATOR_LINE = re.compile(r"\A\s*\"?sep=.\"?[,;\t]*\r?\n", re.IGNORECASE)
"""Excel's first line `sep=;`, which names the delimiter; it is no header."""


@dataclass(frozen=True)
class Manifest:
    """Rows by number (the header is row 1), faulty rows, and unknown columns."""

    rows: tuple[tuple[int, dict[str, str]], ...]
    faults: tuple[tuple[int, str], ...]
    unknown_columns: tuple[str, ...]


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; column names are not case-sensitive.

    CSV is UTF-8, with or without a byte order mark, separated by comma, semicolon or tab; a first
    line such as `sep=;` is skipped. Cells are plain text: formulas are not evaluated.

    Raises
    ------
    PipelineError
        If the file is not a manifest, is too large, or lacks a column.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise PipelineError(f"{path.name} has {size} bytes; a manifest has at most {MAX_BYTES}")
        if path.suffix.lower() in (".parquet", ".pq"):
            return _read_parquet(path)
        return _read_csv(path)
    except OSError as error:
        raise PipelineError(f"the manifest {path} cannot be read: {error}") from error


def _read_csv(path: Path) -> Manifest:
    try:
        text = _SEPARATOR_LINE.sub("", path.read_bytes().decode("utf-8-sig"), count=1)
    except UnicodeDecodeError as error:
        place = f"byte {error.start}"
        raise PipelineError(f"{path.name} is not UTF-8 at {place}; save it as UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    faults: list[tuple[int, str]] = []
    try:
        header = next(reader, [])
        columns = _columns(path, header)
        for number, cells in enumerate(reader, start=2):
            if not any(cell.strip() for cell in cells):
                continue
            if len(rows) == MAX_ROWS:
                raise PipelineError(f"{path.name} has more than {MAX_ROWS} rows")
            if len(cells) != len(header):
                faults.append((number, f"it has {len(cells)} cells, the header {len(header)}"))
                continue
            rows.append((number, {name: cells[i] for name, i in columns.items()}))
    except csv.Error as error:
        place = f"{path.name}, line {reader.line_num}"
        raise PipelineError(f"{place}: {error}; is a quote left open?") from error
    return Manifest(tuple(rows), tuple(faults), _unknown(header))


def _delimiter(text: str) -> str:
    """The delimiter that splits the first line into most known columns; comma if none does."""
    line = text.lstrip("\r\n").split("\n", 1)[0][:65536]
    known = {*REQUIRED, *OPTIONAL}

    def n_known(delimiter: str) -> int:
        return sum(_key(cell.strip('"\r')) in known for cell in line.split(delimiter))

    return max(_DELIMITERS, key=n_known)


def _read_parquet(path: Path) -> Manifest:
    try:
        schema = pq.read_schema(path)
        header = schema.names
        columns = _columns(path, header)
        texts = [header[i] for name, i in columns.items() if _is_text(path, name, schema.field(i))]
        # As dictionaries, so that a long text repeated a million times is stored once.
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            _check_parquet(path, file)
            cells: dict[str, list[str]] = {name: [] for name in columns}
            for batch in file.iter_batches(columns=[header[i] for i in columns.values()]):
                for name, i in columns.items():
                    cells[name] += _texts(batch.column(header[i]))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise PipelineError(f"{path.name} is no readable Parquet file: {first}") from error
    rows = zip(*cells.values(), strict=True)
    numbered = enumerate((dict(zip(cells, row, strict=True)) for row in rows), start=2)
    return Manifest(tuple(numbered), (), _unknown(header))


def _check_parquet(path: Path, file: pq.ParquetFile) -> None:
    metadata = file.metadata
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if metadata.num_rows > MAX_ROWS or size > 4 * MAX_BYTES:
        most = f"at most {MAX_ROWS} rows and {4 * MAX_BYTES} bytes"
        raise PipelineError(f"{path.name} has {metadata.num_rows} rows, {size} bytes; {most}")


def _is_text(path: Path, name: str, field: pa.Field) -> bool:
    """Whether a column is text; numbers are accepted as well, other types are not."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return True
    if not (pa.types.is_null(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise PipelineError(f"{path.name}: column {name!r} is {kind}, neither text nor numbers")
    return False


def _texts(column: pa.Array) -> list[str]:
    """Cells as text, nulls as empty text."""
    column.validate(full=True)  # a damaged file may hold invalid text or offsets
    if not pa.types.is_dictionary(column.type):
        return ["" if value is None else str(value) for value in column.to_pylist()]
    values = ["" if value is None else str(value) for value in column.dictionary.to_pylist()]
    return ["" if i is None else values[i] for i in column.indices.to_pylist()]


def _columns(path: Path, header: Sequence[str]) -> dict[str, int]:
    """The index of each known column."""
    keys = [_key(name) for name in header]
    for name in (*REQUIRED, *OPTIONAL):
        if keys.count(name) > 1:
            raise PipelineError(f"{path.name} has two columns {name!r}; remove one")
    for name in REQUIRED:
        if name not in keys:
            near = difflib.get_close_matches(name, keys, n=1)
            hint = f"; is {near[0]!r} meant to be it?" if near else ""
            shown = ", ".join(plain(name)[:60] for name in header[:12]) or "none"
            raise PipelineError(f"{path.name} lacks the column {name!r}; it has: {shown}{hint}")
    return {name: keys.index(name) for name in (*REQUIRED, *OPTIONAL) if name in keys}


def _unknown(header: Sequence[str]) -> tuple[str, ...]:
    names: Iterator[str] = (plain(name) for name in header)
    return tuple(sorted({name for name in names if _key(name) not in (*REQUIRED, *OPTIONAL)}))


def _key(name: str) -> str:
    return plain(name).casefold()
