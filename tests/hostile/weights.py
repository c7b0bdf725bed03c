"""Weights that mean harm, by the thousand: `python -m tests.hostile.weights --mutants 3000`.

Each file is looked through as `models check` and `models convert` do, every tensor of it is read,
and those of our own kind and of CLIP's are loaded into their network.
"""

from __future__ import annotations

import argparse
import io
import json
import pickle
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pipeline.clip import network as clip
from pipeline.errors import PipelineError
from pipeline.models.containers import open_weights
from pipeline.models.pickle_stubs import PersistentObject
from pipeline.models.registry import Weights
from pipeline.models.stored_tensors import StoredTensor
from pipeline.stylegan.formats import module_tensors, sniff, terms_of
from pipeline.stylegan.networks import load_network
from tests.builders import hostile_weights, isolated_cases
from tests.builders.stylegan_files import HERE
from tests.builders.tiny_clip import made_network
from tests.hostile.mutate import MUTATORS, mutant


class Case(NamedTuple):
    """A file: made by hand, or a audio one and how it is spoilt."""

    base: str
    mutator: str = ""
    seed: int = 0


class Bench(NamedTuple):
    """What a worker keeps."""

    folder: Path
    audio: dict[str, bytes]
    clip_model: Any


def _safetensors(header: Any, body: bytes = bytes(64), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def _own(kind: Any, config: Any, **more: str) -> bytes:
    notes = {"kind": json.dumps(kind), "config": json.dumps(config), **more}
    tensor = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    return _safetensors({"__metadata__": notes, "a": tensor}, bytes(16))


def _tensor(**changes: Any) -> bytes:
    entry = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64], **changes}
    return _safetensors({"a": entry})


def _torch(value: Any, **how: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **how)
    return stream.getvalue()


class _Swells:
    """Unpickling makes a byte array of that many bytes."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (self.n,)


def _laughs(levels: int) -> bytes:
    """Tuples of tuples that hold each other twice: small to read, endless to print."""
    body = b"\x80\x02]q\x00"
    for i in range(levels):
        body += b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1])
    return body + b"." + b" " * 20


_GIANT = {"size": 1 << 40}
MADE: dict[str, Callable[[], bytes]] = {
    "header_long.safetensors": lambda: _safetensors({}, length=1 << 62),
    "header_100mb.safetensors": lambda: _safetensors({}, length=100 << 20),
    "header_text.safetensors": lambda: _safetensors(b"{not json at all......"),
    "header_deep.safetensors": lambda: _safetensors(b'{"a":' * 50_000),
    "header_empty.safetensors": lambda: _safetensors({}),
    "header_number.safetensors": lambda: _safetensors(b'{"a":' + b"9" * 9000 + b"}"),
    "offsets_beyond.safetensors": lambda: _tensor(data_offsets=[0, 1 << 40]),
    "offsets_before.safetensors": lambda: _tensor(data_offsets=[-64, 0]),
    "offsets_turned.safetensors": lambda: _tensor(data_offsets=[64, 0]),
    "shape_huge.safetensors": lambda: _tensor(shape=[1 << 40, 1 << 40]),
    "shape_minus.safetensors": lambda: _tensor(shape=[-4, -4]),
    "type_odd.safetensors": lambda: _tensor(dtype="F8_E4M3", data_offsets=[0, 16]),
    "type_none.safetensors": lambda: _tensor(dtype=None),
    "overlap.safetensors": lambda: _safetensors(
        {n: {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]} for n in "ab"}
    ),
    "many.safetensors": lambda: _safetensors(
        {str(i): {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(200_000)}, b""
    ),
    "nan.safetensors": lambda: _safetensors(
        {"a": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}, b"\xff" * 64
    ),
    "kind_list.safetensors": lambda: _own(["x"], {}),
    "kind_odd.safetensors": lambda: _own("stylegan9", {}),
    "kind_deep.safetensors": lambda: _own("arcface", {}, notes="[" * 100_000),
    "kind_digits.safetensors": lambda: _own("arcface", {}, notes="9" * 9000),
    "config_list.safetensors": lambda: _own("arcface", [1]),
    "config_odd.safetensors": lambda: _own("stylegan2-generator", {"a": 1}),
    "config_giant.safetensors": lambda: _own("stylegan2-generator", _GIANT),
    "executes.pkl": lambda: pickle.dumps({"G_ema": hostile_weights.Runs(_MARK)}, protocol=4),
    "swells.pkl": lambda: pickle.dumps({"G_ema": _Swells(1 << 36)}, protocol=2),
    "swells.pt": lambda: _torch({"a": _Swells(1 << 36)}),
    "swells_legacy.pt": lambda: _torch(
        {"a": _Swells(1 << 36)}, _use_new_zipfile_serialization=False
    ),
    "laughs.pkl": lambda: _laughs(200),
    "floats.pt": lambda: _torch({"a": [float("nan")] * 9}),
    "shared.pt": lambda: _torch({str(i): torch.zeros(1).expand(1 << 20) for i in range(64)}),
    "whole_module.pt": lambda: _torch(torch.nn.Linear(2, 2)),
    "scalar.pt": lambda: _torch(torch.tensor(1.0)),
    "list.pt": lambda: _torch([torch.zeros(3)]),
    "keys.pt": lambda: _torch({1: torch.zeros(3), (2, 3): torch.zeros(3)}),
    "names.pt": lambda: _torch({"a\n\x1b[2J<b>": torch.zeros(3), "x" * 100_000: torch.zeros(1)}),
    "g_ema_list.pt": lambda: _torch({"g_ema": [1, 2]}),
    "g_ema_shapes.pt": lambda: _torch(
        {"g_ema": {"conv1.conv.modulation.weight": torch.zeros(0), "input.input": torch.zeros(())}}
    ),
    "encoder_shapes.pt": lambda: _torch(
        {"state_dict": {"encoder.input_layer.0.weight": torch.zeros(1, 3, 1, 1),
                        "encoder.styles.0.linear.weight": torch.zeros(())},
         "opts": {"encoder_type": "Encoder4Editing"}}
    ),
}  # fmt: skip
"""Files by name."""
_MARK = Path(tempfile.gettempdir()) / "spfem-hostile-executed"


def audio_files(folder: Path) -> dict[str, bytes]:
    """Audio files of every kind, by name."""
    found = {name: (HERE / name).read_bytes() for name in (
        "nv_tiny32_scrubbed.pkl", "ros_tiny32_converted.pt", "opts_namespace_min.pt",
    )}  # fmt: skip
    tree = torch.load(HERE / "ros_tiny32_converted.pt", weights_only=True)
    found["legacy.pt"] = _torch(tree, _use_new_zipfile_serialization=False)
    found["encoder.safetensors"] = (HERE / "e4e_tiny_rows037.safetensors").read_bytes()[:300_000]
    network, _, weights = made_network(folder)
    state = network.model.state_dict()
    small = {name: value for name, value in state.items() if value.numel() < 20_000}
    found["clip.pt"], found["clip.bin"] = _torch(small), _torch({"state_dict": small})
    found["clip.safetensors"] = weights.read_bytes()[:100_000]
    return found


def make_bench() -> Bench:
    """The state of a worker."""
    folder = Path(tempfile.mkdtemp(prefix="spfem-weights-"))
    torch.set_num_threads(1)
    network, _, _ = made_network(folder)
    audio = audio_files(folder)
    shutil.rmtree(folder)
    folder.mkdir()
    return Bench(folder, audio, network.model)


def cases(count: int, seed: int) -> Iterator[tuple[str, Case]]:
    """All that are made by hand, those that would run something, then that many mutants."""
    for name in MADE:
        yield "made by hand", Case(name)
    for name in hostile_weights.RUNNING:
        yield "would run something", Case(f"RUNNING {name}")
    rng = random.Random(seed)
    bases = [
        "nv_tiny32_scrubbed.pkl", "ros_tiny32_converted.pt", "legacy.pt", "clip.pt", "clip.bin",
        "opts_namespace_min.pt", "clip.safetensors", "encoder.safetensors",
    ]  # fmt: skip
    for i in range(count):
        name = rng.choice(bases)
        mutator = list(MUTATORS)[i % len(MUTATORS)]
        yield f"mutants of {Path(name).suffix}", Case(name, mutator, 1_000_000 * seed + i)


def try_weights(bench: Bench, case: Case) -> str:
    """What became of a file; `one line` where it was refused."""
    for left in bench.folder.iterdir():
        left.unlink()
    path, mark = bench.folder / Path(case.base.replace("RUNNING ", "x.")).name, _MARK
    mark.unlink(missing_ok=True)
    if case.base.startswith("RUNNING "):
        hostile_weights.RUNNING[case.base.split()[1]](path, mark)
    else:
        raw = MADE[case.base]() if case.base in MADE else bench.audio[case.base]
        path.write_bytes(mutant(case.mutator, case.seed, raw) if case.mutator else raw)
    words = [_said(read, bench, path) for read in (_look, _load_own, _load_clip)]
    if mark.exists():
        return "EXECUTED"
    assert [p.name for p in bench.folder.iterdir()] == [path.name]
    return "refused" if words == ["one line"] * 3 else f"looked through: {words[0]}"


def _said(read: Callable[[Bench, Path], str], bench: Bench, path: Path) -> str:
    try:
        return read(bench, path)
    except PipelineError as error:
        if len(str(error).splitlines()) != 1 or len(str(error)) > 1500:
            raise AssertionError(f"not one line: {error!r:.3000}") from error
        return "one line"


def _look(bench: Bench, path: Path) -> str:
    return look_through(path)


def look_through(path: Path) -> str:
    """The family of a file, all of whose tensors were read."""
    opened = open_weights(path)
    found = sniff(opened)
    terms_of(opened, found)
    for network in found.networks.values():
        for name, tensor in network.tensors.items():
            tensor.read(name)
    tree = opened.tree
    if isinstance(tree, dict):
        for name, value in tree.items():
            if isinstance(value, StoredTensor):
                value.read(str(name))
            if isinstance(value, PersistentObject):
                dict(module_tensors(value))
    return found.family.split(",")[0]


def _load_own(bench: Bench, path: Path) -> str:
    load_network(Weights("x", path, "0" * 64))
    return "loaded"


def _load_clip(bench: Bench, path: Path) -> str:
    clip._load(clip.open_clip(), bench.clip_model, path)
    return "loaded"


def main() -> int:
    """Try them all and print the table; 1 where anything ended as it must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    before = isolated_cases.hashes(HERE)
    results = isolated_cases.try_all(
        cases(given.mutants, given.seed), try_weights, make_bench,
        limit_s=120, limit_mb=1024, workers=given.workers,
    )  # fmt: skip
    found = isolated_cases.tally("weights", results)
    found.show("weights")
    print(f"  sources: {len(before)} files, hashes equal: {isolated_cases.hashes(HERE) == before}")
    return 0 if not found.bad else 1


if __name__ == "__main__":
    sys.exit(main())
