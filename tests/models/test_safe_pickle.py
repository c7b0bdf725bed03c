"""Nothing that a file names is run, and nothing that it claims is believed."""

from __future__ import annotations

import contextlib
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.errors import PipelineError
from pipeline.models.containers import open_weights
from pipeline.models.pickle_scan import Limits, UnsafeFileError
from pipeline.models.pickle_stubs import Ignored
from pipeline.stylegan.formats import init_kwargs, module_tensors
from tests.builders import hostile_weights
from tests.builders.stylegan_files import HERE, arrays, rosinality, saved


def refused(path: Path, said: str, **limits: int) -> str:
    """What a refusal says: one line."""
    with pytest.raises(PipelineError, match=said) as found:
        _read(open_weights(path, Limits(**limits)).tree)
    assert "\n" not in str(found.value)
    return str(found.value)


def _read(tree: Any) -> None:
    for name, tensor in tree["g_ema"].items():
        tensor.read(name)


@pytest.mark.parametrize("how", hostile_weights.RUNNING)
def test_what_would_run_is_refused_and_not_run(how: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    said = refused(hostile_weights.RUNNING[how](tmp_path / "planted", mark), "refused")
    assert not mark.exists()
    assert "nothing of it was run" in said or "inner file" in said


@pytest.mark.parametrize("how", ["raw", "evaluates", "old_class", "by_stack"])
def test_these_files_would_run_elsewhere(how: str, tmp_path: Path) -> None:
    """The planted files are live: Python's own reader does run them."""
    mark = tmp_path / "mark"
    pickle.loads(hostile_weights.RUNNING[how](tmp_path / "planted", mark).read_bytes())
    assert mark.exists()


def test_nvidia_pickle_gives_its_tensors_and_arguments() -> None:
    tree = open_weights(HERE / "nv_tiny32_scrubbed.pkl").tree
    network = tree["G_ema"]
    tensors = dict(module_tensors(network))
    assert len(tensors) == 79
    assert tensors["synthesis.b32.conv0.noise_const"].read("").shape == (32, 32)
    assert init_kwargs(network) == {
        "z_dim": 32, "c_dim": 0, "w_dim": 32, "img_resolution": 32, "img_channels": 3,
        "mapping_kwargs": {"num_layers": 4},
        "synthesis_kwargs": {"channel_base": 256, "channel_max": 16},
    }  # fmt: skip
    assert tree["training_set_kwargs"]["path"] == "x.zip"


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_are_those_that_torch_reads(legacy: bool, tmp_path: Path) -> None:
    kinds = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool")
    made = {kind: (torch.randn(3, 4) * 3).to(getattr(torch, kind)) for kind in kinds}
    base = torch.arange(24.0)
    made |= {"turned": base.view(4, 6).T, "part": base[5:9], "none": torch.zeros(0, 3)}
    made["alone"] = torch.nn.Parameter(torch.tensor(2.5))
    way = saved(tmp_path / "t.pt", made, _use_new_zipfile_serialization=not legacy)
    found = open_weights(way).tree
    for name, expected in made.items():
        assert torch.equal(found[name].read(name), expected.detach()), name
        assert found[name].read(name).dtype == expected.dtype


def test_namespaces_are_read_and_what_no_weights_need_is_ignored(tmp_path: Path) -> None:
    tree = open_weights(HERE / "opts_namespace_min.pt").tree
    assert tree["opts"] == {"stylegan_size": 32, "encoder_type": "Encoder4Editing"}
    some = {
        "loss": np.float64(0.25), "best": np.array([[1, 2], [3, 4]], np.int32),
        "where": Path("/runs/1"), "seen": {1, 2}, "device": torch.device("cuda:0"),
        "size": torch.Size([2, 3]),
    }  # fmt: skip
    tree = open_weights(saved(tmp_path / "some.pt", some)).tree
    assert tree.pop("size") == (2, 3)
    assert {type(value) for value in tree.values()} == {Ignored}


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    objects = pickle.dumps({"G_ema": np.array([print], object)}, protocol=4)
    (tmp_path / "o.pkl").write_bytes(objects)
    refused(tmp_path / "o.pkl", "refused")


@pytest.mark.parametrize(
    ("shape", "stride", "said"),
    [
        ((1 << 20, 1 << 20), (1 << 20, 1), r"claims 1099511627776 numbers where its file has 4"),
        ((1 << 20, 1 << 20), (0, 0), "claims 1099511627776 numbers where its file has 4"),
        ((2, 2), (100, 1), "claims 4 numbers where its file has 4"),
        ((-1,), (1,), "no sensible shape"),
        ((1 << 60,), (1,), "no sensible shape"),
        ((2, 2), (1,), "no sensible shape"),
        ((1,) * 12, (1,) * 12, "no sensible shape"),
    ],
)
def test_claims_are_checked_before_memory_is_taken(
    shape: tuple[int, ...], stride: tuple[int, ...], said: str, tmp_path: Path
) -> None:
    refused(hostile_weights.claims(tmp_path / "claims.pt", shape, stride), said)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(value: float, tmp_path: Path) -> None:
    stored = {"g_ema": {"conv1.conv.weight": torch.tensor([1.0, value])}}
    refused(saved(tmp_path / "nan.pt", stored), "conv1.conv.weight holds NaN or infinite")


def test_storage_cut_out_of_the_zip(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.pt", {"g_ema": {"a": torch.ones(5)}})
    cut = hostile_weights.rezipped(
        whole, tmp_path / "b.pt", lambda n, c: c[:8] if n.endswith("data/0") else c
    )
    refused(cut, "the tensor a claims 5 numbers where its file has 2")
    gone = hostile_weights.rezipped(
        whole, tmp_path / "c.pt", lambda n, c: None if n.endswith("data/0") else c
    )
    refused(gone, "the tensor a claims 5 numbers where its file has 0")


def test_a_zip_that_swells_is_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.pt", {"g_ema": {"a": torch.zeros(100_000)}})
    swollen = tmp_path / "b.pt"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(swollen, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    assert swollen.stat().st_size < 10_000
    refused(swollen, "in it is compressed")


def test_a_zip_whose_index_points_before_its_start(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.pt", {"g_ema": {"a": torch.ones(5)}})
    plain = hostile_weights.rezipped(whole, tmp_path / "b.pt", lambda _, content: content)
    content = bytearray(plain.read_bytes())
    place = content.rindex(b"PK\x05\x06") + 16
    moved = int.from_bytes(content[place : place + 4], "little") + 100_000
    content[place : place + 4] = moved.to_bytes(4, "little")
    plain.write_bytes(content)
    refused(plain, "damaged")


def test_scripted_modules_are_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "s.pt")
    refused(tmp_path / "s.pt", "a TorchScript archive holds code")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            b"\x80\x02N" + b"r" + (0xFFFFFFF0).to_bytes(4, "little") + b"N0" * 9 + b".",
            "more than 5000000",
        ),
        (b"\x80\x02)" + b"\x85" * 5_000 + b".", "nested deeper than 400"),
        (b"\x80\x02" + b"N0" * 30_000 + b"N.", "more than 50000 objects"),
        (b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"abcdefgh.", "damaged"),
        (b"\x80\x02}q\x00(" + b"K\x01" * 20, "damaged"),
        (b"\x80\x02" + b"0" * 40 + b".", "damaged"),
        (b"\x80\x02h\x07" + b"N0" * 10 + b".", "damaged"),
        (b"\x80\x02cbuiltins\nset\nR." + b" " * 20, "damaged"),
        (
            b"\x80\x02ccollections\nOrderedDict\n}" + hostile_weights.text("a") + b"K\x01sb.",
            "damaged",
        ),
        (
            b"\x80\x02cbuiltins\nset\nN}" + hostile_weights.text("_function") + b"Ns\x86b.",
            "damaged",
        ),
    ],
    ids=["memo", "depth", "count", "length", "cut", "underflow", "get", "call", "class", "slot"],
)
def test_pickles_that_lie_about_themselves(body: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "lies.pkl"
    path.write_bytes(body)
    with pytest.raises(UnsafeFileError, match=said):
        open_weights(path, Limits(opcodes=50_000) if "50000 " in said else Limits())


@pytest.mark.parametrize("at", range(0, 100, 7))
def test_a_damaged_file_is_one_line(at: int, tmp_path: Path) -> None:
    """Any byte may be wrong: an answer or one line, never another error."""
    for name in ("nv_tiny32_scrubbed.pkl", "ros_tiny32_converted.pt"):
        content = bytearray((HERE / name).read_bytes())
        place = len(content) * at // 100
        content[place] ^= 0xFF
        damaged = tmp_path / name
        damaged.write_bytes(content)
        with contextlib.suppress(PipelineError):
            open_weights(damaged)
        damaged.write_bytes(content[:place])
        with pytest.raises(PipelineError, match=r"damaged|cut short|empty|no weights file"):
            open_weights(damaged)


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    big = saved(tmp_path / "big.pt", rosinality())
    refused(big, "at most 0 GB are read", file_bytes=1000)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><html><title>Quota exceeded", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
        (b"some text that is no weights file at all", "no weights file of a container known"),
        (b"", "empty"),
    ],
)
def test_what_is_no_weights_file(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(PipelineError, match=said):
        open_weights(path)
    with pytest.raises(PipelineError, match="No such file"):
        open_weights(tmp_path / "absent.pt")


def test_another_zip_is_said(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        archive.writestr("a/readme.txt", "hello")
    refused(tmp_path / "many.zip", "a zip but no torch file: unpack it first")


def test_fixture_arrays_are_there() -> None:
    assert len(arrays("ros_tiny32_io.npz")) > 15
