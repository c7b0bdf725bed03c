"""Search for files that name a speaker or contain their images or audio."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_ID = r"[A-Za-z0-9._%\-]"
_MIN_DISTINCTIVE = 3


@dataclass(frozen=True)
class Person:
    """One speaker, and the other speakers whose ids have this id as a prefix (anna, anna_b).

    Ids of takes, utterances and pairs begin with the speaker's id and an underscore. A short or
    numeric id (7, 25) is ambiguous in running text: there it counts only as the prefix of such an
    id, elsewhere if a column or a path identifies it as a speaker.
    """

    speaker: str
    others: tuple[str, ...] = ()

    @classmethod
    def among(cls, speaker: str, speakers: Iterable[str]) -> Person:
        """A speaker of a corpus with these speakers."""
        return cls(speaker, tuple(sorted(s for s in set(speakers) if s.startswith(speaker + "_"))))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        alone = rf"|(?!{_ID})" if self._is_distinctive else ""
        return re.compile(rf"(?<!{_ID}){re.escape(self.speaker)}(?:_{_ID}*{alone})")

    @property
    def _is_distinctive(self) -> bool:
        return len(self.speaker) >= _MIN_DISTINCTIVE and any(c.isalpha() for c in self.speaker)

    @cached_property
    def _loose(self) -> re.Pattern[str]:
        own = re.escape(self.speaker)
        return re.compile(rf"(?<![A-Za-z0-9]){own}(?![A-Za-z0-9])", re.IGNORECASE)

    def is_named_in(self, text: str) -> bool:
        """Whether a text contains the id of the speaker or of one of their takes or pairs."""
        return self.speaker in text and any(
            self._is_own(match.group()) for match in self._pattern.finditer(text)
        )

    def owns(self, path: str) -> bool:
        """Whether a path in a stage's folder is theirs: a folder or a file named after them."""
        return any(
            part == self.speaker
            or part.startswith(self.speaker + ".")
            or (part.startswith(self.speaker + "_") and self._is_own(part))
            for part in path.split("/")
        )

    def may_be_named_in(self, path: str) -> bool:
        """The same for the path of a source file, which uses the spelling of the corpus."""
        return self._loose.search(path) is not None

    def _is_own(self, name: str) -> bool:
        return not any(name == other or name.startswith(other + "_") for other in self.others)


_PARQUET = b"PAR1"
_ROWS = 256
_SPEAKER = "speaker"
"""The column with the speaker of a row."""


def is_table(path: Path) -> bool:
    """Whether a file is Parquet, by content; objects in DVC's cache have no suffix."""
    with path.open("rb") as stream:
        return stream.read(4) == _PARQUET


def names(person: Person, path: Path) -> bool:
    """Whether a file's content names a speaker. A damaged table is read as text."""
    if is_table(path):
        try:
            return _table_names(person, path)
        except (pa.ArrowInvalid, OSError):
            pass
    return person.is_named_in(path.read_bytes().decode("latin-1"))


def _table_names(person: Person, path: Path) -> bool:
    file = pq.ParquetFile(path, pre_buffer=False)
    metadata = file.schema_arrow.metadata or {}
    if any(person.is_named_in(value.decode("latin-1")) for value in metadata.values()):
        return True
    columns = [name for name, kind in _leaves(file.schema_arrow) if kind == "text"]
    return any(
        text == person.speaker if name == _SPEAKER else person.is_named_in(text)
        for batch in (file.iter_batches(65536, columns=columns) if columns else ())
        for name in columns
        for text in _texts(batch.column(batch.schema.get_field_index(name)))
    )


def _leaves(schema: pa.Schema) -> list[tuple[str, str]]:
    """Top-level columns with text or bytes: (name, "text" or "bytes"); a struct may be both."""
    leaves = []
    for field in schema:
        kinds = {_kind(leaf) for leaf in _types(field.type)}
        leaves += [(field.name, kind) for kind in sorted(kinds & {"text", "bytes"})]
    return leaves


def _types(kind: pa.DataType) -> Iterator[pa.DataType]:
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _types(field.type)
    elif (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ):
        yield from _types(kind.value_type)
    else:
        yield kind


def _kind(leaf: pa.DataType) -> str:
    if pa.types.is_string(leaf) or pa.types.is_large_string(leaf):
        return "text"
    return "bytes" if pa.types.is_binary(leaf) or pa.types.is_large_binary(leaf) else "other"


def _texts(column: Any) -> Iterator[str]:
    for flat in _flat(column):
        if _kind(flat.type) == "text":
            yield from (text for text in pc.unique(flat).to_pylist() if text)


def _flat(column: Any) -> Iterator[Any]:
    """The leaf arrays of a column of structs and lists."""
    if pa.types.is_struct(column.type):
        for part in column.flatten():
            yield from _flat(part)
    elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        yield from _flat(column.flatten())
    elif not pa.types.is_fixed_size_list(column.type):
        yield column


def media_of(person: Person, path: Path, *, all_rows: bool) -> set[bytes]:
    """Digests of a speaker's images and audio in a file.

    Parameters
    ----------
    all_rows
        Whether the whole file is theirs; otherwise only table rows that name them count.
    """
    if not is_table(path):
        return {digest_of(path.read_bytes())} if all_rows else set()
    digests: set[bytes] = set()
    for batch in _media_batches(path):
        rows = batch.to_pylist() if not all_rows else None
        if rows is None:
            digests |= {digest_of(value) for value in _values(batch)}
            continue
        for row in rows:
            if row.get(_SPEAKER) == person.speaker or any(map(person.is_named_in, _strings(row))):
                digests |= {digest_of(value) for value in _bytes(row)}
    return digests


def _media_batches(path: Path) -> Iterator[pa.RecordBatch]:
    file = pq.ParquetFile(path, pre_buffer=False)
    leaves = _leaves(file.schema_arrow)
    if any(kind == "bytes" for _, kind in leaves):
        yield from file.iter_batches(_ROWS, columns=sorted({name for name, _ in leaves}))


def _values(batch: pa.RecordBatch) -> Iterator[bytes]:
    for column in batch.columns:
        for flat in _flat(column):
            if _kind(flat.type) == "bytes":
                yield from (value for value in flat.to_pylist() if value)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


def _bytes(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        if value:
            yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _bytes(part)


def holds(path: Path, media: set[bytes]) -> bool:
    """Whether a file is, or a table contains, one of the images or audio files."""
    if not media:
        return False
    if not is_table(path):
        return digest_of(path.read_bytes()) in media
    return any(
        digest_of(value) in media for batch in _media_batches(path) for value in _values(batch)
    )


def digest_of(content: bytes) -> bytes:
    """The digest that identifies an image or audio file."""
    return hashlib.blake2b(content, digest_size=16).digest()
