"""What is read of outside bytes: archives, weights, shards; see `targets`."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import torch

from pipeline.corpora import archives, tarindex
from pipeline.errors import Reject, TableError
from pipeline.records import Rejected, Source, rejected
from pipeline.runtime.tables import read_rows, write_rows
from pipeline.tools.inspect import media
from pipeline.tools.inspect.manifest import NAME, read_manifest
from pipeline.tools.inspect.show import show
from spfem_data import Pairs
from spfem_data.parquet_pages import NotPlain, chunk_range, find_values
from spfem_data.schema import AUDIO_HZ, SCHEMA_VERSION
from tests.builders import shards
from tests.hostile.archives import MADE
from tests.hostile.targets import OWN, TEXTS, Parse, Target, in_file
from tests.hostile.weights import look_through

_MOST_BYTES = 1 << 20
_LEVELS = 2


def _archive(suffix: str) -> Parse:
    """Listing of an archive, then all its members opened."""

    def parse(folder: Path, raw: bytes) -> object:
        path = folder / f"a{suffix}"
        path.write_bytes(with_sums(raw) if suffix == ".tar" else raw)
        archives._index.cache_clear()
        read = []
        for member in list(archives.index_of(path).members)[:20]:
            try:
                with archives.open_source(folder, Source(path.name, member), _MOST_BYTES) as stream:
                    assert not isinstance(stream, str)
                    read.append(len(stream.read()))
            except Reject as reject:
                read.append(-len(reject.detail))
        return read

    return parse


def with_sums(raw: bytes) -> bytes:
    """A tar whose every block that is not empty has the checksum of a header."""
    content = bytearray(raw)
    for at in range(0, len(content) - tarindex.BLOCK + 1, tarindex.BLOCK):
        block = content[at : at + tarindex.BLOCK]
        if any(block):
            block[148:156] = b" " * 8
            content[at + 148 : at + 156] = b"%06o\0 " % sum(block)
    return bytes(content)


def _weights(name: str) -> Parse:
    return in_file(name, look_through)


def _saved(**how: Any) -> bytes:
    tree = {"a.weight": torch.ones(2, 3), "n": [1, 2.5, None, "x"], "s": OrderedDict(b=True)}
    stream = io.BytesIO()
    torch.save(tree, stream, **how)
    return stream.getvalue()


def _pickles() -> list[bytes]:
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    values: list[Any] = [{"a": array, "b": (1, 2)}, {"scalar": np.float32(1)}]
    values += [OrderedDict(x={1, 2}), ["x", b"y", True, None, 1 << 70]]
    return [pickle.dumps(value, protocol) for value in values for protocol in (2, 4)]


def _safetensors() -> bytes:
    notes = {"kind": '"arcface"', "config": '{"depth": 2}'}
    entry = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    text = json.dumps({"__metadata__": notes, "a": entry}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(16)


def _manifest() -> bytes:
    listed = {"sha256": "0" * 64, "bytes": 1, "rows": 1}
    content = {
        "schema_version": SCHEMA_VERSION, "dataset": "x", "params_sha256": "0",
        "split": {"unit": "speaker"}, "rows": {"pairs": {"train": 1}}, "versions": {"a": "1"},
        "files": {"data/pairs/train-00000-of-00001.parquet": listed},
        "documents": {"README.md": listed},
    }  # fmt: skip
    return json.dumps(content).encode()


def _pages() -> list[bytes]:
    """The pages of a column of images, behind how many values they have, as both writers do."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [None if k % 3 == 0 else {"bytes": b"x" * k, "path": "p"} for k in range(9)]
    found = []
    for version in ("1.0", "2.0"):
        sink = pa.BufferOutputStream()
        pq.write_table(
            pa.table({"x": pa.array(rows, kind)}), sink, compression="none", use_dictionary=False,
            data_page_version=version,
        )  # fmt: skip
        raw = sink.getvalue().to_pybytes()
        first, size = chunk_range(pq.read_metadata(pa.BufferReader(raw)).row_group(0).column(0))
        found.append(bytes([len(rows)]) + raw[first : first + size])
    return found


def _walk(folder: Path, raw: bytes) -> object:
    try:
        spans = find_values(raw[1:], 100, raw[0] if raw else 0, _LEVELS)
    except NotPlain as error:
        raise TableError(str(error)) from error
    assert len(spans.offsets) == len(spans.sizes)
    return spans


def _shard() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        shards.write(Path(folder), "pairs", [shards.pair_rows("S1", "happy", "u1")[:3]])
        return next(Path(folder).rglob("*.parquet")).read_bytes()


def _read_shard(path: Path) -> object:
    """A shard as training and `show` read it: a selection, images by their place, all columns."""
    folder = path.parents[2]
    show(folder, "pairs", "train", [("confidence", ">", 0.05)], 2)
    pairs = Pairs(folder, "train")
    return [pairs[k] for k in range(min(len(pairs), 2))]


def _audio() -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(800, np.int16), AUDIO_HZ, "PCM_16", format="FLAC")
    return stream.getvalue()


def _in_shard(read: Callable[[Any], object]) -> Parse:
    return lambda folder, raw: read(np.frombuffer(raw, np.uint8))


def _rows() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write_rows(path, [rejected("extract", "take", "x", "no_face", "y")], Rejected)
        return path.read_bytes()


BYTES: dict[str, Target] = {
    "tar": Target(
        lambda: [MADE[n]() for n in ("good.tar", "pax.tar", "links.tar")], _archive(".tar")
    ),
    "zip": Target(
        lambda: [MADE[n]() for n in ("good.zip", "stored.zip", "encrypted.zip")], _archive(".zip")
    ),
    "weights, pickle": Target(_pickles, _weights("w.pkl")),
    "weights, torch": Target(lambda: [_saved()], _weights("w.pt")),
    "weights, older torch": Target(
        lambda: [_saved(_use_new_zipfile_serialization=False)], _weights("w.pt")
    ),
    "weights, safetensors": Target(lambda: [_safetensors()], _weights("w.safetensors")),
    "manifest of shards": Target(
        lambda: [_manifest()], in_file(NAME, lambda path: read_manifest(path.parent))
    ),
    "pages of a shard": Target(_pages, _walk),
    "shard": Target(
        lambda: [_shard()], in_file("data/pairs/train-00000-of-00001.parquet", _read_shard)
    ),
    "image of a shard": Target(
        lambda: [shards.jpeg(shards.face("S1", "happy", 0.5)[:16, :16])],
        _in_shard(media._image),
    ),
    "audio of a shard": Target(lambda: [_audio()], _in_shard(media._audio)),
    "table of a stage": Target(
        lambda: [_rows()], in_file("t.parquet", lambda path: read_rows(path, Rejected))
    ),
}  # fmt: skip
"""Bytes that others wrote, and tables of ours that a broken disk may have damaged."""
PARSERS: dict[str, Target] = {**TEXTS, **BYTES, **OWN}
"""All parsers by name."""


def seeds_of(name: str) -> Sequence[bytes]:
    """The audio inputs of a parser."""
    return PARSERS[name].seeds()
