"""The generator against rosinality's and NVIDIA's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from pipeline.stylegan.convert import convert, examine
from pipeline.stylegan.generator import Generator, GeneratorConfig
from pipeline.stylegan.networks import network_of
from tests.builders.stylegan_files import HERE, arrays, off, on_all_rows, rosinality, saved

TOLERANCE = 1e-4
"""Of a standard deviation of what is expected: a tenth of it would hold, too."""
ROS = arrays("ros_tiny32_io.npz")
NV = arrays("nv_tiny32_io.npz")


def loaded(source: Path, tmp_path: Path, **how: object) -> Generator:
    """Through the very way of the pipeline: examine, convert, read."""
    from safetensors import safe_open

    from pipeline.models.registry import decode_metadata

    out = tmp_path / "converted.safetensors"
    convert(examine(source, **how), out, part="generator")
    with safe_open(out, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return network_of(tensors, decode_metadata(opened.metadata()))


@pytest.fixture(params=["gradients", "folded"], autouse=True)
def _both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test holds with gradients, and without (which has a way of its own on a CPU)."""
    with torch.set_grad_enabled(request.param == "gradients"):
        yield


@pytest.fixture(params=["zip", "legacy", "trained"])
def ros(request: pytest.FixtureRequest, tmp_path: Path) -> Generator:
    """rosinality's generator out of each container that people have."""
    if request.param == "zip":
        return loaded(HERE / "ros_tiny32_converted.pt", tmp_path)
    stored, legacy = rosinality(), request.param == "legacy"
    if not legacy:
        from argparse import Namespace

        stored |= {"args": Namespace(size=32, path="faces"), "g_optim": {"state": {}}}
    way = saved(tmp_path / "g.pt", stored, _use_new_zipfile_serialization=not legacy)
    return loaded(way, tmp_path)


def test_rosinality_codes_give_its_images(ros: Generator) -> None:
    assert off(ros(ROS["latent"]), ROS["img_latent_fixednoise"]) < TOLERANCE
    edited = ROS["latent"] + ROS["beta"].float() * ROS["direction"]
    assert off(ros(edited), ROS["img_edit_beta15"]) < TOLERANCE


def test_rosinality_z_and_mixing(ros: Generator) -> None:
    w, w2 = (on_all_rows(ros, ros.style(ROS[name])) for name in ("z", "z2"))
    assert off(ros(w), ROS["img_z_fixednoise"]) < TOLERANCE
    mixed = torch.cat([w[:, :3], w2[:, 3:]], dim=1)
    assert off(mixed, ROS["latent_mix"]) < TOLERANCE
    assert off(ros(mixed), ROS["img_mix_inject3"]) < TOLERANCE


def test_files_without_noise_and_mean_get_both(tmp_path: Path) -> None:
    bare = {n: t for n, t in rosinality()["g_ema"].items() if not n.startswith("noises.")}
    source = saved(tmp_path / "bare.pt", {"g_ema": bare})
    out = tmp_path / "bare.safetensors"
    metadata = convert(examine(source), out)
    assert metadata["latent_avg"] == "mean of 100000 codes"
    assert metadata["noises"] == "drawn from seed 0"
    network = loaded(source, tmp_path)
    for i, stored in enumerate(network.noises.maps()):
        stored.copy_(ROS[f"noise_{i}"])
    assert off(network(ROS["latent"]), ROS["img_latent_explicitnoise"]) < TOLERANCE
    # a mean of 1e5 draws is good to 1/300 of a deviation
    drawn = network.style(torch.randn(20_000, 32, generator=torch.Generator().manual_seed(5)))
    apart = (network.latent_avg - drawn.mean(dim=0)).abs() / drawn.std(dim=0)
    assert float(apart.max()) < 0.03


def test_nvidia_pickle_gives_its_images(tmp_path: Path) -> None:
    network = loaded(HERE / "nv_tiny32_scrubbed.pkl", tmp_path)
    rows = on_all_rows(network, network.style(NV["z"]))
    assert off(rows, NV["ws_from_z"]) < TOLERANCE
    assert off(network(NV["ws"]), NV["img_ws_const"]) < TOLERANCE
    assert off(network(NV["ws"] + 15 * NV["direction"]), NV["img_edit_beta15"]) < TOLERANCE


def test_clamp_is_the_published_one(tmp_path: Path) -> None:
    free = loaded(HERE / "nv_tiny32_scrubbed.pkl", tmp_path)
    limited = Generator(
        GeneratorConfig(**{**asdict(free.config), "conv_clamp": 1.5})
    ).requires_grad_(False)
    limited.load_state_dict(free.state_dict())
    assert off(limited(NV["ws"]), NV["img_ws_const_clamp1p5"]) < TOLERANCE
    assert off(free(NV["ws"]), NV["img_ws_const_clamp1p5"]) > 0.1


def test_batch_does_not_change_a_image(ros: Generator) -> None:
    together = ros(ROS["latent"])
    alone = torch.cat([ros(code[None]) for code in ROS["latent"]])
    assert off(alone, together) < 1e-5
    assert torch.is_grad_enabled() or torch.equal(alone, together)


@torch.enable_grad()
def test_gradients_reach_every_parameter() -> None:
    network = Generator(GeneratorConfig(16, (8, 8, 8), 16, 2))
    w = on_all_rows(network, network.style(torch.randn(2, 16)))
    network(w).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_published_size_has_the_published_parameters() -> None:
    big = GeneratorConfig(1024, (512, 512, 512, 512, 512, 256, 128, 64, 32))
    assert (big.n_latent, len(big.noise_px), big.noise_px[-1]) == (18, 17, 1024)
    with torch.device("meta"):
        assert sum(p.numel() for p in Generator(big).parameters()) == 30_370_060


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": 48}, "size 48: expected a power of two"),
        ({"size": 64}, "3 channel counts for 64 px: 5"),
        ({"n_mlp": 0}, "at least 1"),
        ({"conv_clamp": 0.0}, "conv_clamp 0.0: expected more than 0"),
    ],
)
def test_config_checks_itself(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GeneratorConfig(**{"size": 16, "channels": (8, 8, 8), **change})


@pytest.mark.parametrize("shape", [(2, 5, 16), (2, 16)])
def test_codes_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"this generator takes \(n, 6, 16\)"):
        Generator(GeneratorConfig(16, (8, 8, 8), 16, 2))(torch.zeros(shape))
