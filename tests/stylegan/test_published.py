"""The whole set of published networks in small, where it lies beside the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.models.registry import Weights
from pipeline.stylegan.convert import convert, examine
from pipeline.stylegan.networks import load_network
from tests.builders.stylegan_files import arrays, off, on_all_rows

TOLERANCE = 1e-4


@pytest.fixture
def folder(shared: Path) -> Path:
    found = shared / "fixtures" / "stylegan"
    if not found.is_dir():
        pytest.skip("no StyleGAN fixtures beside this checkout")
    return found


def loaded(source: Path, tmp_path: Path, part: str = "") -> torch.nn.Module:
    out = tmp_path / f"{source.name}.{part}.safetensors"
    convert(examine(source), out, part=part)
    return load_network(Weights(source.stem, out, ""))


def test_e4e_whole(folder: Path, tmp_path: Path) -> None:
    network = loaded(folder / "e4e_tiny32.pt", tmp_path)
    io = arrays("e4e_tiny32_io.npz", folder)
    images = (io["image_uint8"].float() / 127.5 - 1).permute(0, 3, 1, 2)
    codes = network(images)
    assert off(codes, io["codes"]) < TOLERANCE
    middle = network.features(images)[1]
    assert off(middle.mean(dim=1), io["c2_mean"]) < TOLERANCE
    generator = loaded(folder / "e4e_tiny32.pt", tmp_path, "generator")
    assert off(generator(codes), io["image_out"]) < TOLERANCE


def test_identity_networks(folder: Path, tmp_path: Path) -> None:
    irse, io = loaded(folder / "irse50_tiny.pth", tmp_path), arrays("irse50_tiny_io.npz", folder)
    assert off(irse(io["x"]), io["y"]) < TOLERANCE
    iresnet = loaded(folder / "iresnet50_tiny.pth", tmp_path)
    io = arrays("iresnet50_tiny_io.npz", folder)
    assert off(iresnet.vector(io["x"]), io["y"]) < TOLERANCE
    assert off(iresnet(io["x"]), io["emb"]) < TOLERANCE


@pytest.mark.parametrize(
    "name", ["nv_tiny32.pt", "nv_tiny32.safetensors", "nv_tiny32_scrubbed.pkl"]
)
def test_nvidias_files(name: str, folder: Path, tmp_path: Path) -> None:
    network, io = loaded(folder / name, tmp_path), arrays("nv_tiny32_io.npz", folder)
    assert off(network(io["ws"]), io["img_ws_const"]) < TOLERANCE
    assert off(network(on_all_rows(network, network.style(io["z"]))), io["img_z_const"]) < TOLERANCE


@pytest.mark.parametrize("name", ["converted", "converted_legacy", "nonoises"])
def test_rosinalitys_files_and_every_layer(name: str, folder: Path, tmp_path: Path) -> None:
    network = loaded(folder / f"ros_tiny32_{name}.pt", tmp_path)
    io = arrays("ros_tiny32_io.npz", folder)
    seen: dict[str, torch.Tensor] = {}
    for layer in [n for n in io if n.startswith("act__") and n != "act__style"]:
        parts = layer.removeprefix("act__").split("_")
        way = ".".join(parts) if parts[0] == "convs" else layer.removeprefix("act__")
        way = way.replace("to_rgbs_", "to_rgbs.")
        network.get_submodule(way).register_forward_hook(
            lambda _, __, y, layer=layer: seen.update({layer: y})
        )
    stored = [noise.clone() for noise in network.noises.maps()]
    for i, noise in enumerate(network.noises.maps()):
        noise.copy_(io[f"noise_{i}"])
    assert off(network(io["latent"]), io["img_latent_explicitnoise"]) < TOLERANCE
    for noise, before in zip(network.noises.maps(), stored, strict=True):
        noise.copy_(before)
    if name != "nonoises":
        assert off(network(io["latent"]), io["img_latent_fixednoise"]) < TOLERANCE
        assert len(seen) == 11
        for layer, found in seen.items():
            assert off(found, io[layer]) < TOLERANCE, layer
