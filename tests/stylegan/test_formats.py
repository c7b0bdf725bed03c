"""Every family that people have is told by its tensors; what is not taken gets one line."""

from __future__ import annotations

import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pipeline.errors import PipelineError
from pipeline.models.containers import open_weights
from pipeline.stylegan.convert import examine
from pipeline.stylegan.formats import module_tensors
from tests.builders.stylegan_files import HERE, e4e, rosinality, saved


def nvidia() -> dict[str, torch.Tensor]:
    """The state dict of NVIDIA's generator."""
    network = open_weights(HERE / "nv_tiny32_scrubbed.pkl").tree["G_ema"]
    return {name: tensor.read(name) for name, tensor in module_tensors(network)}


def family(path: Path, **how: Any) -> tuple[str, list[str]]:
    found = examine(path, **how).found
    return found.family, list(found.networks)


def refused(path: Path, said: str, **how: Any) -> None:
    with pytest.raises(PipelineError, match=said) as found:
        examine(path, **how)
    assert "\n" not in str(found.value)


def test_generators_are_told(tmp_path: Path) -> None:
    stored = rosinality()
    assert family(saved(tmp_path / "a", stored)) == (
        "StyleGAN2 generator, rosinality's layout, converted", ["generator"]
    )  # fmt: skip
    trained = {**stored, "g": stored["g_ema"], "g_optim": {}, "ada_aug_p": 0.1}
    assert "trained" in family(saved(tmp_path / "b", trained))[0]
    parallel = {f"module.{name}": tensor for name, tensor in stored["g_ema"].items()}
    assert "state dict" in family(saved(tmp_path / "c", parallel))[0]
    assert "NVIDIA's pickle" in family(HERE / "nv_tiny32_scrubbed.pkl")[0]
    save_file(nvidia(), tmp_path / "d.safetensors")
    assert "NVIDIA's layout, state dict" in family(tmp_path / "d.safetensors")[0]


def test_encoders_are_told(tmp_path: Path) -> None:
    both = ["encoder", "generator"]
    assert family(saved(tmp_path / "a", e4e())) == ("e4e encoder and its generator", both)
    psp = e4e(encoder_type="GradualStyleEncoder")
    assert family(saved(tmp_path / "b", psp)) == ("psp encoder and its generator", both)
    resumed = {**e4e(), "global_step": 7, "optimizer": {"state": {0: {"step": 3}}}}
    assert family(saved(tmp_path / "c", resumed))[1] == both
    silent = e4e()
    del silent["opts"]
    refused(saved(tmp_path / "d", silent), "it does not say which.*--encoder e4e")
    assert family(tmp_path / "d", encoder="e4e")[0].startswith("e4e")


def altered(value: dict[str, Any], **tensors: torch.Tensor | None) -> dict[str, Any]:
    """A training run's file with other tensors; None takes one out."""
    state = {**value["state_dict"], **{n.replace("__", "."): t for n, t in tensors.items()}}
    return {**value, "state_dict": {n: t for n, t in state.items() if t is not None}}


def test_encoders_that_are_not_taken(tmp_path: Path) -> None:
    way = tmp_path / "e.pt"
    first = "encoder__input_layer__0__weight"
    refused(saved(way, altered(e4e(), **{first: torch.zeros(16, 6, 3, 3)})), "a ReStyle encoder")
    refused(saved(way, altered(e4e(), **{first: torch.zeros(16, 19, 3, 3)})), "of 19 channels")
    last = e4e(encoder_type="BackboneEncoderUsingLastLayerIntoW")
    refused(saved(way, last), "BackboneEncoderUsingLastLayerIntoW.*GradualStyleEncoder are read")
    refused(saved(way, {"state_dict": {"encoder.conv1.weight": torch.zeros(2)}}), "neither e4e's")
    without = e4e()
    del without["latent_avg"]
    refused(saved(way, without), r"adds a mean code \(start_from_latent_avg\) and does not hold it")


def test_identity_networks_and_clip_are_told(tmp_path: Path) -> None:
    from pipeline.stylegan.arcface import ArcFaceConfig, arcface

    for body, said in (("irse", "ArcFace, IR-SE"), ("iresnet", "ArcFace, insightface's iresnet")):
        config = ArcFaceConfig(body, (1, 2, 1, 1), (8, 12, 16, 24), 10, 32)
        examined = examine(saved(tmp_path / body, arcface(config).state_dict()))
        assert examined.found.family == said
        told = examined.found.networks["arcface"].config
        assert {**told, "units": tuple(told["units"]), "widths": tuple(told["widths"])} == {
            **asdict(config)
        }
    clip = {"visual.conv1.weight": torch.zeros(1), "logit_scale": torch.zeros(())}
    assert family(saved(tmp_path / "clip", clip))[0].startswith("CLIP")


class Network:
    """A TensorFlow network as its pickle has it."""


Network.__module__, Network.__qualname__ = "dnnlib.tflib.network", "Network"


def test_tensorflow_pickles_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import ModuleType

    for name in ("dnnlib", "dnnlib.tflib", "dnnlib.tflib.network"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["dnnlib.tflib.network"].Network = Network  # type: ignore[attr-defined]
    network = Network()
    network.__dict__.update(version=4, static_kwargs={"resolution": 1024}, build_module_src="raise")
    way = tmp_path / "tf.pkl"
    way.write_bytes(pickle.dumps((network, network, network), protocol=4))
    refused(way, "a StyleGAN2 pickle of the TensorFlow version")


def test_stylegan3_and_the_unknown_are_one_line(tmp_path: Path) -> None:
    third = {"synthesis.input.weight": torch.zeros(2), "mapping.fc0.weight": torch.zeros(2, 2)}
    refused(saved(tmp_path / "three.pt", third), "a StyleGAN3 generator")
    refused(
        saved(tmp_path / "some.pt", {"fc.weight": torch.zeros(2)}), "is not a supported network"
    )
    refused(saved(tmp_path / "list.pt", [torch.zeros(2)]), "has no named tensors")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mapping.embed.weight": torch.zeros(2, 2)}, "a class-conditional generator"),
        ({"synthesis.b8.torgb.bias": None}, "another architecture than `skip`"),
        ({"synthesis.b8.resample_filter": torch.ones(4, 4)}, r"b8.resample_filter is not \[1, 3"),
        ({"synthesis.b8.resample_filter": torch.ones(2, 2)}, r"b8.resample_filter is not \[1, 3"),
        ({"synthesis.b8.skip.weight": torch.zeros(1)}, "unexpected tensor synthesis.b8.skip"),
        ({"mapping.fc0.weight": torch.zeros(32, 16)}, "z has 16 numbers and w 32"),
        ({"synthesis.b8.conv1.weight": None}, "synthesis.b8.conv1.weight is missing"),
        ({"synthesis.b8.conv0.weight": torch.zeros(5, 16, 3, 3)}, r"convs.0.conv.weight is \(1, 5"),
        ({"synthesis.b8.conv1.weight": torch.zeros(16)}, "expected 4 dimensions"),
        ({"synthesis.b8.conv1.affine.bias": None}, "convs.1.conv.modulation.bias is missing"),
        ({"synthesis.b8.conv1.bias": torch.full((16,), float("nan"))}, "NaN or infinite"),
    ],
)
def test_generators_that_are_not_taken(
    change: dict[str, torch.Tensor | None], said: str, tmp_path: Path
) -> None:
    tensors = {n: t for n, t in {**nvidia(), **change}.items() if t is not None}
    refused(saved(tmp_path / "g.pt", tensors), said)


def test_wrong_shapes_of_the_others_are_one_line(tmp_path: Path) -> None:
    stored = rosinality()
    stored["g_ema"]["convs.0.conv.weight"] = torch.zeros(1, 16, 9, 3, 3)
    way = saved(tmp_path / "g.pt", stored)
    refused(way, r"convs.0.conv.weight is \(1, 16, 9, 3, 3\), expected \(1, 16, 16, 3, 3\)")
    way = saved(tmp_path / "e.pt", {**e4e(), "latent_avg": torch.zeros(5, 32)})
    refused(way, r"latent_avg is \(5, 32\), expected \(3, 32\)")
