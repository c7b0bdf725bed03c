"""What shows a person, told without the tool: ids in all bytes, images, audio, rows of numbers.

Nothing here is imported from `pipeline.tools.forget`: a proof may not ask whom it judges.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from numpy.typing import NDArray

_MEDIA_IN_PAGES = re.compile(rb"data:(?:image|audio|video)/[\w.+-]+;base64,([A-Za-z0-9+/=]+)")
_SIDE = 24
"""Pixels a side to which images are made small to be compared."""
_FEWEST = 8
"""Numbers in a row that are told apart: coordinates, embeddings, codes."""


@dataclass
class Traces:
    """Digests of what a person left: bytes, pixels, samples, rows of numbers; small images."""

    content: set[str] = field(default_factory=set)
    pixels: set[str] = field(default_factory=set)
    samples: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    small: list[NDArray[np.float32]] = field(default_factory=list)

    def take(self, content: bytes) -> None:
        """Take in a image or a audio."""
        self.content.add(_digest(content))
        image = decoded_image(content)
        if image is not None:
            self.pixels.add(_digest(image.tobytes()))
            self.small.append(small(image))
        else:
            self.samples |= {_digest(part) for part in decoded_audio(content)}

    def counts(self) -> str:
        """How many of each, as text."""
        return (
            f"{len(self.pixels)} images, {len(self.samples)} recordings, "
            f"{len(self.numbers)} rows of numbers"
        )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def decoded_image(content: bytes) -> NDArray[np.uint8] | None:
    """The pixels of a image, None for what is none."""
    if content[:2] != b"\xff\xd8" and content[:4] not in (b"\x89PNG", b"RIFF"):
        return None
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return None if found is None else np.asarray(found)


def decoded_audio(content: bytes) -> Iterator[bytes]:
    """The samples of a audio as bytes; nothing for what is none."""
    if content[:4] == b"fLaC":
        yield soundfile.read(io.BytesIO(content), dtype="int16")[0].tobytes()
    elif content[:4] == b"OggS":
        with av.open(io.BytesIO(content)) as container:
            yield b"".join(bytes(f.to_ndarray()) for f in container.decode(audio=0))


def small(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A image in few pixels, as a vector."""
    shrunk = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return shrunk.astype(np.float32).reshape(-1)


def nearest(one: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Mean difference of a pixel between a small image and the most alike of others."""
    return float(np.abs(others - one).mean(axis=1).min())


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file as plain values."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(128):
            yield from batch.to_pylist()


def is_table(path: Path) -> bool:
    """Whether a file is Parquet, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(4) == b"PAR1"


def strings(value: Any) -> Iterator[str]:
    """All text in a row."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)


def binaries(value: Any) -> Iterator[bytes]:
    """All bytes in a row."""
    if isinstance(value, bytes) and value:
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from binaries(part)
    elif isinstance(value, list):
        for part in value:
            yield from binaries(part)


def number_rows(value: Any) -> Iterator[str]:
    """Digests of all lists of numbers in a row, long enough to be nobody else's."""
    if isinstance(value, dict):
        for part in value.values():
            yield from number_rows(part)
    elif isinstance(value, list) and value:
        if all(isinstance(part, float) for part in value):
            rounded = np.asarray(value, np.float32)
            if len(value) >= _FEWEST and np.unique(rounded).size >= _FEWEST:
                yield _digest(rounded.tobytes())
        else:
            for part in value:
                yield from number_rows(part)


def files_below(folder: Path, without: tuple[Path, ...]) -> list[Path]:
    """All files below a folder but for those below some others."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and not any(path.is_relative_to(other) for other in without)
    )


def gather(folder: Path, speaker: str, without: tuple[Path, ...]) -> Traces:
    """What the files below a folder hold of a person, by their rows and by the files' names."""
    found = Traces()
    mine = re.compile(rf"(^|[^A-Za-z0-9]){re.escape(speaker)}([^A-Za-z0-9]|$)")
    for path in files_below(folder, without):
        whole = bool(mine.search(path.relative_to(folder).as_posix()))
        if is_table(path):
            for row in rows_of(path):
                if whole or any(mine.search(text) for text in strings(row)):
                    for content in binaries(row):
                        found.take(content)
                    found.numbers.update(number_rows(row))
        elif whole and path.suffix in (".flac", ".jpg", ".png"):
            found.take(path.read_bytes())
    return found


def everything(path: Path) -> Iterator[bytes]:
    """All images and recordings in a file: a table's, those of a page, the file itself."""
    if is_table(path):
        for row in rows_of(path):
            yield from binaries(row)
        return
    content = path.read_bytes()
    yield content
    for match in _MEDIA_IN_PAGES.finditer(content):
        yield base64.b64decode(match[1])


def texts(path: Path) -> Iterator[str]:
    """All text of a file: its bytes as they are, and a table's when unpacked."""
    yield path.read_bytes().decode("latin-1")
    if is_table(path):
        schema = pq.read_schema(path)
        yield from (value.decode("latin-1") for value in (schema.metadata or {}).values())
        for row in _text_rows(path, schema):
            yield from strings(row)


def _text_rows(path: Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    names = [f.name for f in schema if not pa.types.is_binary(f.type)]
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(1024, columns=names):
            yield from batch.to_pylist()
