"""Files that a stranger might plant: each would leave a mark if anything of it ran."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class Runs:
    """An object whose unpickling runs a shell command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


class Opens:
    """An object whose unpickling opens a file for writing."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.mark), "w")


def text(value: str) -> bytes:
    """A string as a pickle has it."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def raw(path: Path, mark: Path) -> Path:
    """A pickle as NVIDIA's, whose network is a call."""
    path.write_bytes(pickle.dumps({"G_ema": Runs(mark)}, protocol=4))
    return path


def torch_zip(path: Path, mark: Path) -> Path:
    torch.save({"g_ema": {"a": torch.zeros(2)}, "args": Runs(mark)}, path)
    return path


def torch_legacy(path: Path, mark: Path) -> Path:
    value = {"g_ema": {"a": torch.zeros(2)}, "args": Opens(mark)}
    torch.save(value, path, _use_new_zipfile_serialization=False)
    return path


def namespace(path: Path, mark: Path) -> Path:
    torch.save({"state_dict": {}, "opts": Namespace(device=Runs(mark))}, path)
    return path


class _Storage:
    """What NVIDIA's pickles hold a tensor's numbers in: a torch file as bytes."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.storage._load_from_bytes, (self.content,)


def nested(path: Path, mark: Path) -> Path:
    """Innocent outside; what runs is in a torch file inside."""
    stream = io.BytesIO()
    torch.save(Runs(mark), stream, _use_new_zipfile_serialization=False)
    path.write_bytes(pickle.dumps({"G_ema": _Storage(stream.getvalue())}, protocol=4))
    return path


def _opcodes(body: Callable[[Path], bytes]) -> Callable[[Path, Path], Path]:
    def write(path: Path, mark: Path) -> Path:
        path.write_bytes(b"\x80\x02" + body(mark) + b".")
        return path

    return write


evaluates = _opcodes(
    lambda mark: b"cbuiltins\neval\n" + text(f"open({str(mark)!r}, 'w')") + b"\x85R"
)
gets = _opcodes(
    lambda mark: b"cbuiltins\ngetattr\ncos\nsystem\n" + text("__call__") + b"\x86R"
    + text(f"touch {mark}") + b"\x85R"
)  # fmt: skip
old_class = _opcodes(lambda mark: b"(" + text(f"touch {mark}") + b"ios\nsystem\n")
# fmt: off
by_stack = _opcodes(
    lambda mark: (
        b"\x80\x04" + text("posix") + text("system") + b"\x93" + text(f"touch {mark}") + b"\x85R"
    )
)
dotted = _opcodes(
    lambda mark: (
        b"\x80\x04" + text("collections") + text("OrderedDict.__init__.__globals__") + b"\x93"
    )
)
# fmt: on
rebuilds = _opcodes(
    # torch's own function, through which storages are filled from any file
    lambda mark: b"ctorch\nload\n" + text(str(mark)) + b"\x85R"
)
RUNNING: dict[str, Callable[[Path, Path], Path]] = {
    "raw": raw, "torch_zip": torch_zip, "torch_legacy": torch_legacy, "namespace": namespace,
    "nested": nested, "evaluates": evaluates, "gets": gets, "old_class": old_class,
    "by_stack": by_stack, "dotted": dotted, "rebuilds": rebuilds,
}  # fmt: skip
"""Files that would run something, by how: (path, mark) -> path."""


def rezipped(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A torch zip with other members; None leaves one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            content = change(info.filename, old.read(info))
            if content is not None:
                new.writestr(info.filename, content)
    return target


def claims(path: Path, shape: tuple[int, ...], stride: tuple[int, ...]) -> Path:
    """A torch file whose one tensor claims another shape than it has numbers for."""

    class Claim:
        def __init__(self, storage: Any) -> None:
            self.storage = storage

        def __reduce__(self) -> tuple[Any, ...]:
            wanted = (self.storage, 0, shape, stride, False, OrderedDict())
            return torch._utils._rebuild_tensor_v2, wanted

    storage = torch.zeros(4)._typed_storage()
    torch.save({"g_ema": {"conv1.conv.weight": Claim(storage)}}, path)
    return path
