"""The W+ encoders against e4e's."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from pipeline.models.registry import Weights
from pipeline.stylegan.convert import convert, examine
from pipeline.stylegan.encoders import EncoderConfig, WPlusEncoder
from pipeline.stylegan.networks import load_network
from tests.builders.stylegan_files import arrays, e4e, off, saved

TOLERANCE = 1e-4
IO = arrays("e4e_tiny_rows037_io.npz")
IMAGES = (IO["image_uint8"].float() / 127.5 - 1).permute(0, 3, 1, 2)
SMALL = EncoderConfig("e4e", 6, 16, 64, (1, 1, 1, 1), (8, 8, 12, 16), 8, coarse=2, middle=4)


def loaded(tmp_path: Path, **opts: object) -> WPlusEncoder:
    """Through the very way of the pipeline: examine, convert, read."""
    out = tmp_path / "encoder.safetensors"
    convert(examine(saved(tmp_path / "e4e.pt", e4e(**opts))), out)
    network = load_network(Weights("e4e", out, ""))
    assert isinstance(network, WPlusEncoder)
    return network


@pytest.mark.slow
def test_e4e_gives_its_codes(tmp_path: Path) -> None:
    network = loaded(tmp_path)
    config = network.config
    assert (config.kind, config.input_px, config.units) == ("e4e", 256, (3, 4, 14, 3))
    assert (config.widths, config.coarse, config.middle) == ((16, 20, 24, 32), 1, 2)
    assert off(network.raw(IMAGES), IO["codes_raw"]) < TOLERANCE
    assert off(network(IMAGES), IO["codes"]) < TOLERANCE
    fine, _, coarse = network.features(IMAGES)
    assert off(fine.mean(dim=1), IO["c1_mean"]) < TOLERANCE
    assert off(coarse, IO["c3"]) < TOLERANCE


def test_psp_rows_stand_alone(tmp_path: Path) -> None:
    """pSp's network is e4e's without the base under the rows."""
    network = loaded(tmp_path, encoder_type="GradualStyleEncoder")
    assert network.config.kind == "psp"
    raw = IO["codes_raw"]
    expected = torch.cat([raw[:, :1], raw[:, 1:] - raw[:, :1]], dim=1)
    assert off(network.raw(IMAGES), expected) < TOLERANCE


@pytest.mark.slow
def test_without_a_mean_none_is_added(tmp_path: Path) -> None:
    network = loaded(tmp_path, start_from_latent_avg=False)
    assert off(network(IMAGES), IO["codes_raw"]) < TOLERANCE


def test_published_size_has_the_published_parameters() -> None:
    with torch.device("meta"):
        network = WPlusEncoder(EncoderConfig("e4e", 18))
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(267.1e6, rel=1e-3)
    assert len(network.body) == 24


def test_a_small_encoder_is_the_same_class_and_learns() -> None:
    network = WPlusEncoder(SMALL)
    codes = network(torch.randn(2, 3, 64, 64))
    assert codes.shape == (2, 6, 16)
    codes.square().mean().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "restyle"}, "kind 'restyle'"),
        ({"units": (1, 1)}, "four counts each"),
        ({"input_px": 48}, "input_px 48: expected a power of two"),
        ({"n_styles": 65}, "n_styles 65: at most 64"),
        ({"coarse": 8}, "coarse 8, middle 4: in that order"),
    ],
)
def test_config_checks_itself(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EncoderConfig(**{**asdict(SMALL), **change})


def test_another_size_is_said() -> None:
    # upstream, a wrong size silently becomes more samples
    with pytest.raises(ValueError, match=r"expected \(n, 3, 64, 64\)"):
        WPlusEncoder(SMALL)(torch.zeros(1, 3, 128, 128))
