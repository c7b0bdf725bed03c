"""Open a weights file of any container: torch's zip, torch's older format, pickle, safetensors.

The result is a tree of plain values with the position of each tensor. Tensors are read one at a
time, so a file larger than memory can be converted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from pipeline.errors import PipelineError
from pipeline.models import safe_pickle
from pipeline.models.pickle_scan import Limits, UnsafeFileError
from pipeline.models.stored_tensors import (
    DTYPES,
    Ranges,
    Reader,
    Storage,
    StoredTensor,
    Within,
    file_reader,
)
from pipeline.models.torch_files import MAGIC_PICKLE, Nested, torch_legacy, torch_zip

Container = Literal["torch", "torch-legacy", "pickle", "safetensors"]

_PAGES = (b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML")
_SAFETENSORS_TYPES = {
    "F32": "Float", "F64": "Double", "F16": "Half", "BF16": "BFloat16", "I64": "Long",
    "I32": "Int", "I16": "Short", "I8": "Char", "U8": "Byte", "BOOL": "Bool",
}  # fmt: skip


@dataclass(frozen=True)
class Opened:
    """An inspected file: container, tree, and the metadata of a safetensors file."""

    path: Path
    container: Container
    tree: Any
    metadata: dict[str, str]


def open_weights(path: Path, limits: Limits | None = None) -> Opened:
    """Inspect a weights file without loading its tensors.

    Raises
    ------
    UnsafeFileError
        It would run code, claims more than it holds, or is damaged.
    PipelineError
        It does not exist, or is not a weights file.
    """
    limits = limits or Limits()
    try:
        size = path.stat().st_size
    except OSError as error:
        raise PipelineError(f"{path}: {error.strerror}") from None
    if path.is_dir() or size < 16:
        raise PipelineError(
            f"{path} is no weights file ({'a folder' if path.is_dir() else 'empty'})"
        )
    if size > limits.file_bytes:
        raise UnsafeFileError(
            f"{path.name} has {size >> 30} GB; at most {limits.file_bytes >> 30} GB are read"
        )
    reader, what = file_reader(path), path.name
    head = bytes(reader(0, min(size, 256)))
    if head.startswith(b"PK\x03\x04"):
        return Opened(path, "torch", torch_zip(path, reader, size, limits), {})
    if head[8:9] == b"{":
        return _safetensors(path, reader, limits)
    if head[0] == 0x80 and head[1] in (2, 3, 4, 5):
        with path.open("rb") as file:
            stream = Within(file, size)
            if head.startswith(MAGIC_PICKLE):
                return Opened(
                    path, "torch-legacy", torch_legacy(stream, reader, size, what, limits), {}
                )
            tree = safe_pickle.load(stream, what, limits, Nested(what, limits))
            return Opened(path, "pickle", tree, {})
    raise PipelineError(f"{what} is no weights file{_guess(head)}")


def _guess(head: bytes) -> str:
    if any(page in head for page in _PAGES):
        return ": it is a web page (the download returned a page instead of the file)"
    if head.startswith(b"version https://git-lfs"):
        return ": it is a Git LFS pointer (run git lfs pull)"
    return " of a container known here (torch, pickle, safetensors)"


def _safetensors(path: Path, reader: Reader, limits: Limits) -> Opened:
    try:
        with safe_open(path, "pt") as opened:  # checks the header and all offsets
            metadata = dict(opened.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise UnsafeFileError(f"{path.name}: damaged ({error})") from None
    length = int.from_bytes(reader(0, 8), "little")
    header = json.loads(bytes(reader(8, length)))
    header.pop("__metadata__", None)
    places, tree = {}, {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        places[name] = (8 + length + start, end - start)
        tree[name] = (entry["dtype"], tuple(entry["shape"]))
    if len(places) > limits.tensors:
        raise UnsafeFileError(f"{path.name} is refused: {len(places)} tensors")
    keeper = Ranges(reader, places)
    return Opened(
        path, "safetensors", {n: _stored(keeper, n, *entry) for n, entry in tree.items()}, metadata
    )


def _stored(keeper: Ranges, name: str, code: str, shape: tuple[int, ...]) -> StoredTensor:
    if code not in _SAFETENSORS_TYPES:
        raise UnsafeFileError(f"the tensor {name} is of type {code}: refused")
    dtype = DTYPES[_SAFETENSORS_TYPES[code]]
    stride, step = [], 1
    for n in reversed(shape):
        stride.append(step)
        step *= n
    count = keeper.length(name) // dtype.itemsize
    return StoredTensor(Storage(keeper, name, dtype, count), 0, shape, tuple(stride[::-1]))
