"""One file of ours out of any: the same bytes for the same source, nothing half written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from pipeline.digests import sha256_of
from pipeline.errors import PipelineError
from pipeline.models.registry import Weights
from pipeline.stylegan.convert import convert, examine
from pipeline.stylegan.networks import load_network
from tests.builders.stylegan_files import HERE, e4e, rosinality, saved


def test_metadata_say_where_it_comes_from(tmp_path: Path) -> None:
    source, out = HERE / "ros_tiny32_converted.pt", tmp_path / "g.safetensors"
    written = convert(examine(source), out, notes={"framing": "ffhq"})
    with safe_open(out, "pt") as opened:
        metadata = {name: json.loads(value) for name, value in opened.metadata().items()}
    assert metadata == written
    assert metadata["kind"] == "stylegan2-generator"
    assert metadata["source_sha256"] == sha256_of(source)
    assert metadata["framing"] == "ffhq"
    assert metadata["config"] == {
        "size": 32, "channels": [16, 16, 12, 8], "style_dim": 32, "n_mlp": 4,
        "conv_clamp": None, "mapping_lr": 0.01,
    }  # fmt: skip
    assert str(tmp_path) not in json.dumps(metadata)


def test_tensors_are_those_of_the_source(tmp_path: Path) -> None:
    out = tmp_path / "g.safetensors"
    convert(examine(HERE / "ros_tiny32_converted.pt"), out)
    found, stored = load_file(out), rosinality()
    expected = {n: t for n, t in stored["g_ema"].items() if not n.endswith("kernel")}
    expected["latent_avg"] = stored["latent_avg"]
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.slow
def test_same_source_same_bytes(tmp_path: Path) -> None:
    bare = {n: t for n, t in rosinality()["g_ema"].items() if "noise_" not in n}
    source = saved(tmp_path / "bare.pt", {"g_ema": bare})
    shas = []
    for name in ("a", "b"):
        convert(examine(source), tmp_path / name)
        shas.append(sha256_of(tmp_path / name))
    assert shas[0] == shas[1]


@pytest.mark.slow
def test_parts_of_an_encoder_file(tmp_path: Path) -> None:
    examined = examine(saved(tmp_path / "e4e.pt", e4e()))
    kinds = {
        part: convert(examined, tmp_path / f"{part}.safetensors", part=part)["kind"]
        for part in ("encoder", "generator")
    }
    assert kinds == {"encoder": "w-plus-encoder", "generator": "stylegan2-generator"}
    with pytest.raises(PipelineError, match="holds no arcface; it holds: encoder, generator"):
        convert(examined, tmp_path / "x.safetensors", part="arcface")
    # three rows that differ are no mean of w: the generator's is computed
    assert load_file(tmp_path / "encoder.safetensors")["latent_avg"].shape == (3, 32)


def test_a_mean_for_each_row_becomes_the_generators_own(tmp_path: Path) -> None:
    value = e4e()
    value["latent_avg"] = torch.linspace(0, 1, 32).expand(3, 32).contiguous()
    out = tmp_path / "g.safetensors"
    said = convert(examine(saved(tmp_path / "e4e.pt", value)), out, part="generator")
    assert said["latent_avg"] == "from the file"
    assert torch.equal(load_file(out)["latent_avg"], value["latent_avg"][0])


def test_clamp_is_asked_for_where_no_file_says_it(tmp_path: Path) -> None:
    source = HERE / "ros_tiny32_converted.pt"
    said = convert(examine(source), tmp_path / "a")
    assert said["conv_clamp"] == "none: this layout has no place for it"
    said = convert(examine(source, clamp=256.0), tmp_path / "b")
    assert (said["config"]["conv_clamp"], said["conv_clamp"]) == (256.0, "given")


def test_a_converted_file_is_not_converted(tmp_path: Path) -> None:
    out = tmp_path / "g.safetensors"
    convert(examine(HERE / "ros_tiny32_converted.pt"), out)
    again = examine(out)
    assert again.found.family == "converted by this project: stylegan2-generator"
    with pytest.raises(PipelineError, match="there is nothing to convert"):
        convert(again, tmp_path / "h.safetensors")


def test_a_source_that_fails_leaves_nothing(tmp_path: Path) -> None:
    stored = rosinality()
    stored["g_ema"]["to_rgbs.1.bias"][:] = float("inf")
    source, out = saved(tmp_path / "g.pt", stored), tmp_path / "out" / "g.safetensors"
    with pytest.raises(PipelineError, match=r"to_rgbs\.1\.bias holds NaN or infinite"):
        convert(examine(source), out)
    assert not out.parent.exists() or not list(out.parent.iterdir())


def test_load_network_reads_what_was_converted(tmp_path: Path) -> None:
    out = tmp_path / "g.safetensors"
    convert(examine(HERE / "nv_tiny32_scrubbed.pkl"), out)
    network = load_network(Weights("g", out, ""))
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
