"""Networks to files and back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from pipeline.errors import PipelineError
from pipeline.models.registry import decode_metadata
from pipeline.stylegan.arcface import ArcFaceConfig, arcface
from pipeline.stylegan.discriminator import Discriminator
from pipeline.stylegan.encoders import EncoderConfig, WPlusEncoder
from pipeline.stylegan.generator import Generator, GeneratorConfig
from pipeline.stylegan.networks import (
    compare_shapes,
    empty_network,
    metadata_of,
    network_of,
    save_network,
)

SMALL = GeneratorConfig(16, (8, 8, 8), 16, 2)
NETWORKS = {
    "stylegan2-generator": lambda: Generator(SMALL),
    "stylegan2-discriminator": lambda: Discriminator(SMALL),
    "w-plus-encoder": lambda: WPlusEncoder(
        EncoderConfig("psp", 6, 16, 32, (1, 1, 1, 1), (4, 6, 8, 10), 8, 2, 4)
    ),
    "arcface": lambda: arcface(ArcFaceConfig("irse", (1, 1, 1, 1), (4, 6, 8, 10), 12, 32)),
}


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    with safe_open(path, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return tensors, decode_metadata(opened.metadata())


@pytest.mark.parametrize("kind", NETWORKS)
def test_what_is_saved_comes_back(kind: str, tmp_path: Path) -> None:
    network = NETWORKS[kind]()
    save_network(network, tmp_path / "n.safetensors", {"trained_on": "drawn faces"})
    tensors, metadata = read(tmp_path / "n.safetensors")
    assert (metadata["kind"], metadata["trained_on"]) == (kind, "drawn faces")
    again = network_of(tensors, metadata)
    assert again.config == network.config
    state = again.state_dict()
    assert set(state) == set(network.state_dict())
    for name, tensor in network.state_dict().items():
        assert torch.equal(state[name], tensor), name


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    network = Generator(GeneratorConfig(8, (4, 4), style_dim=4, n_mlp=1))
    notes = {f"note {number}": number for number in range(12)}
    for name in "ab":
        save_network(network, tmp_path / name, notes)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_half_the_size_reads_as_float32(tmp_path: Path) -> None:
    network = Generator(SMALL)
    save_network(network, tmp_path / "a")
    save_network(network, tmp_path / "b", half=True)
    assert (tmp_path / "b").stat().st_size < 0.65 * (tmp_path / "a").stat().st_size
    again = network_of(*read(tmp_path / "b"))
    assert {t.dtype for t in again.state_dict().values()} == {torch.float32}
    weight = network.conv1.conv.weight
    assert torch.equal(again.conv1.conv.weight, weight.half().float())


def test_an_empty_network_takes_no_memory() -> None:
    metadata = {"kind": "w-plus-encoder", "config": asdict(EncoderConfig("e4e", 18))}
    assert all(t.is_meta for t in empty_network(metadata).state_dict().values())
    metadata = metadata_of(Generator(SMALL))
    assert all(t.is_meta for t in empty_network(metadata).state_dict().values())


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"kind": "stylegan3", "config": {}}, "of kind 'stylegan3'; expected stylegan2-gen"),
        ({}, "of kind None"),
        ({"kind": "stylegan2-generator", "config": "x"}, "of kind 'stylegan2-generator'"),
        ({"kind": "stylegan2-generator", "config": {"size": 48}}, "missing 1 required"),
        (
            {"kind": "stylegan2-generator", "config": {"size": 1 << 30, "channels": [1] * 29}},
            "size",
        ),
        ({"kind": "arcface", "config": {"body": "irse", "run": 1}}, "unexpected keyword"),
    ],
)
def test_metadata_that_cannot_be(metadata: dict[str, object], said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        empty_network(metadata)


def test_tensors_that_do_not_fit_are_named() -> None:
    network = Generator(SMALL)
    tensors, metadata = dict(network.state_dict()), metadata_of(network)
    with pytest.raises(PipelineError, match=r"the tensor conv1\.conv\.weight is missing"):
        network_of({n: t for n, t in tensors.items() if n != "conv1.conv.weight"}, metadata)
    with pytest.raises(PipelineError, match=r"latent_avg is \(3,\), expected \(16,\)"):
        network_of({**tensors, "latent_avg": torch.zeros(3)}, metadata)
    with pytest.raises(PipelineError, match=r"unexpected tensor zoo \(1 in all\)"):
        network_of({**tensors, "zoo": torch.zeros(3)}, metadata)
    compare_shapes({"a": (1,)}, {"a": (1,)}, "x")


def test_other_modules_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Linear is not a known kind"):
        save_network(nn.Linear(1, 1), tmp_path / "x")
