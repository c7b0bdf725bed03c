import io
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.clip.architecture import Architecture, read_architecture
from pipeline.clip.naming import fitting_names
from pipeline.clip.network import ClipNetwork, build_network
from pipeline.errors import ParameterError, PipelineError
from tests.builders.tiny_clip import CONFIG, PROMPTS, made_network, write_config


def test_a_name_of_open_clips_is_an_architecture() -> None:
    found = read_architecture("ViT-B-32")
    assert found.config["vision_cfg"]["patch_size"] == 32
    assert found.config["text_cfg"]["vocab_size"] == 49408


@pytest.mark.slow
def test_configs_are_open_clips_own_and_it_is_not_imported_for_them() -> None:
    script = """
import sys
from pipeline.clip.architecture import Architecture, read_architecture
from pipeline.clip.library import known_config, open_clip
read_architecture("ViT-B-32")
assert not {"open_clip", "torchvision", "sklearn"} & set(sys.modules)
library = open_clip()
names = library.list_models()
assert [name for name in names if known_config(name) != library.get_model_config(name)] == []
assert known_config("hf-hub:timm/ViT-B-16-SigLIP") is None  # which open_clip would fetch
print(len(names))
"""
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(told.stdout) > 50


def test_weights_of_a_file_are_the_networks(tmp_path: Path) -> None:
    network, config, weights = made_network(tmp_path)
    again = build_network(read_architecture(str(config)), weights)
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(again.encode_images(images), network.encode_images(images))
    assert again.scale.item() == pytest.approx(20.0855, rel=1e-4)
    assert (again.images.size_px, again.images.interpolation) == (32, "bicubic")


def test_embeddings_have_unit_length(tmp_path: Path) -> None:
    network, _, _ = made_network(tmp_path)
    lengths = network.encode_texts([text for own in PROMPTS for text in own]).norm(dim=-1)
    torch.testing.assert_close(lengths, torch.ones(14))


@pytest.mark.parametrize("suffix", [".pt", ".bin"])
def test_a_plain_state_dict_is_read(tmp_path: Path, suffix: str) -> None:
    network, config, weights = made_network(tmp_path)
    plain = tmp_path / f"plain{suffix}"
    torch.save(load_file(weights), plain)
    again = build_network(read_architecture(str(config)), plain)
    torch.testing.assert_close(again.model.visual.proj, network.model.visual.proj)


def _weights(tmp_path: Path) -> tuple[ClipNetwork, Path, dict[str, torch.Tensor]]:
    network, config, weights = made_network(tmp_path)
    return network, config, load_file(weights)


def _transformers(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors in the layout of transformers' CLIPModel."""
    names = {
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
        "logit_scale": "logit_scale",
    }
    modules = {
        "visual.transformer.resblocks": "vision_model.encoder.layers",
        "transformer.resblocks": "text_model.encoder.layers",
        "ln_final": "text_model.final_layer_norm", "visual.ln_pre": "vision_model.pre_layrnorm",
        "visual.ln_post": "vision_model.post_layernorm",
        ".ln_1": ".layer_norm1", ".ln_2": ".layer_norm2", ".c_fc": ".fc1", ".c_proj": ".fc2",
        ".attn.out_proj": ".self_attn.out_proj",
    }  # fmt: skip
    found = {"text_model.embeddings.position_ids": torch.arange(24)[None]}
    for name, tensor in state.items():
        if name in ("text_projection", "visual.proj"):
            own = "text_projection" if name == "text_projection" else "visual_projection"
            found[f"{own}.weight"] = tensor.T.contiguous()
            continue
        to = names.get(name, name)
        for old, new in modules.items() if to == name else ():
            to = to.replace(old, new)
        if ".attn.in_proj_" in to:
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                key = to.replace(".attn.in_proj_", f".self_attn.{letter}_proj.")
                found[key] = part.contiguous()
        else:
            found[to] = tensor
    return found


LAYOUTS = {
    "OpenAI's state_dict()": lambda state: {
        **{k: v.half() if v.ndim else v for k, v in state.items()},
        "input_resolution": torch.tensor(32), "context_length": torch.tensor(24),
        "vocab_size": torch.tensor(49408),
    },
    "DataParallel": lambda state: {f"module.{k}": v for k, v in state.items()},
    "torch.compile": lambda state: {f"module._orig_mod.{k}": v for k, v in state.items()},
    "transformers": _transformers,
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_in_the_layouts_of_other_libraries(tmp_path: Path, layout: str) -> None:
    network, config, state = _weights(tmp_path)
    path = tmp_path / "other.safetensors"
    save_file(LAYOUTS[layout](state), path)
    again = build_network(read_architecture(str(config)), path)
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    tolerance = 1e-2 if layout.startswith("OpenAI") else 1e-6
    for one, other in (
        (again.encode_images(images), network.encode_images(images)),
        (again.encode_texts(["a face"]), network.encode_texts(["a face"])),
    ):
        torch.testing.assert_close(one, other, atol=tolerance, rtol=0)


def test_a_training_checkpoint_of_any_suffix(tmp_path: Path) -> None:
    network, config, state = _weights(tmp_path)
    path = tmp_path / "epoch_1.ckpt"
    torch.save({"epoch": 1, "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    again = build_network(read_architecture(str(config)), path)
    torch.testing.assert_close(again.model.visual.proj, network.model.visual.proj)


def test_a_hub_folder_is_network_and_weights(tmp_path: Path) -> None:
    network, _, state = _weights(tmp_path)
    folder = tmp_path / "CLIP-tiny"
    folder.mkdir()
    save_file(state, folder / "open_clip_model.safetensors")
    hub = {"model_cfg": CONFIG, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(hub))
    again = build_network(read_architecture(str(folder)), folder)
    assert (again.images.mean, again.images.std) == ((0.5,) * 3, (0.25,) * 3)
    torch.testing.assert_close(again.model.visual.proj, network.model.visual.proj)


def test_weights_of_another_text_tower(tmp_path: Path) -> None:
    """score.network changed, score.weights not: one line, no traceback."""
    _, _, weights = made_network(tmp_path)
    text = CONFIG["text_cfg"] | {"width": 32}
    other = read_architecture(str(write_config(tmp_path, text_cfg=text)))
    with pytest.raises(PipelineError, match=r"score.network and score.weights belong together"):
        build_network(other, weights)


OPENAI_MEAN = [0.48145466, 0.4578275, 0.40821073]


@pytest.mark.parametrize(
    ("named", "mean", "interpolation", "activation"),
    [
        ("ViT-B-32", OPENAI_MEAN, "bicubic", "GELU"),
        ("ViT-B-32::openai", OPENAI_MEAN, "bicubic", "QuickGELU"),
        ("ViT-B-32-quickgelu", OPENAI_MEAN, "bicubic", "QuickGELU"),
        ("ViT-L-14::laion2b_s32b_b82k", [0.5] * 3, "bicubic", "GELU"),
        ("ViT-L-14::dfn2b", OPENAI_MEAN, "bicubic", "QuickGELU"),
        ("MobileCLIP-S1", [0.0] * 3, "bilinear", "GELU"),
        ("PE-Core-B-16", [0.5] * 3, "bilinear", "GELU"),
        ("MobileCLIP2-S4", OPENAI_MEAN, "bilinear", "GELU"),
    ],
)
def test_settings_of_published_weights(
    named: str, mean: list[float], interpolation: str, activation: str
) -> None:
    architecture = read_architecture(named)
    assert architecture.preprocess["mean"] == mean
    assert architecture.preprocess["interpolation"] == interpolation
    assert architecture.activation == activation
    shown = " ".join(f"{value:.3f}" for value in mean)
    assert f"mean {shown}, std" in architecture.describe()
    assert f"{interpolation}, {activation}" in architecture.describe()


def test_the_published_setting_reaches_the_network() -> None:
    """`preprocess` as the table gives it, on a small network."""
    tiny = Architecture("tiny", CONFIG, read_architecture("MobileCLIP-S1").preprocess)
    images = build_network(tiny, None).images
    assert (images.mean, images.std) == ((0.0,) * 3, (1.0,) * 3)
    assert (images.size_px, images.interpolation) == (32, "bilinear")


def test_quick_gelu_is_hinted_at() -> None:
    hint = "need QuickGELU: for them, set score.network to ViT-B-32::openai"
    assert hint in read_architecture("ViT-B-32").describe()
    assert "QuickGELU:" not in read_architecture("ViT-B-32::openai").describe()
    assert "need QuickGELU" not in read_architecture("ViT-B-32-256").describe()


def test_weights_that_differ_in_normalisation_need_a_tag() -> None:
    with pytest.raises(ParameterError, match=r"ViT-L-14 differ in mean and std.*ViT-L-14::openai"):
        read_architecture("ViT-L-14")
    with pytest.raises(ParameterError, match=r"no weights 'opanai'.*did you mean 'openai'"):
        read_architecture("ViT-L-14::opanai")


@pytest.mark.parametrize(
    ("shapes", "names"),
    [
        ({}, []),
        ({"input_resolution": ()}, ["ViT-B-32::openai"]),
    ],
)
def test_the_architecture_of_a_file(shapes: dict[str, tuple[int, ...]], names: list[str]) -> None:
    layers = {f"visual.transformer.resblocks.{n}.ln_1.weight": (768,) for n in range(12)}
    sizes = {
        "visual.conv1.weight": (768, 3, 32, 32), "visual.positional_embedding": (50, 768),
        "token_embedding.weight": (49408, 512), **layers,
    }  # fmt: skip
    assert fitting_names({**shapes, **sizes} if shapes else {}) == names
    assert "ViT-B-32" in fitting_names(sizes)


def test_a_hub_config_brings_its_own_images(tmp_path: Path) -> None:
    path = tmp_path / "open_clip_config.json"
    preprocess = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bilinear"}
    path.write_text(json.dumps({"model_cfg": CONFIG, "preprocess_cfg": preprocess}))
    images = build_network(read_architecture(str(path)), None).images
    assert (images.mean, images.interpolation) == ((0.5, 0.5, 0.5), "bilinear")
    assert images.size_px == 32


def test_two_configs_of_one_name_stay_apart(tmp_path: Path) -> None:
    one = build_network(read_architecture(str(write_config(tmp_path))), None)
    two = build_network(read_architecture(str(write_config(tmp_path, embed_dim=8))), None)
    assert (one.model.visual.proj.shape[1], two.model.visual.proj.shape[1]) == (16, 8)


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("ViT-Z-99", "open_clip knows no 'ViT-Z-99'"),
        ("nowhere.json", "file not found: nowhere.json"),
        ("roberta-ViT-B-32", "needs roberta-base from the hub, and score downloads nothing"),
        ("ViT-B-16-SigLIP", "needs timm/ViT-B-16-SigLIP from the hub"),
    ],
)
def test_what_cannot_be_is_said(named: str, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        read_architecture(named)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[" * 9000, "is not JSON"),
        ('{"n": ' + "9" * 5000 + "}", "is not JSON"),
        ("{}", "is not an open_clip config: no embed_dim"),
        ('{"embed_dim": 4, "vision_cfg": {}, "text_cfg": 5}', "text_cfg .* must be objects"),
        (
            '{"embed_dim": 4, "vision_cfg": {}, "text_cfg": {"tokenizer_kwargs": {"bpe_path": 7}}}',
            "bpe_path a string",
        ),
    ],
)
def test_a_file_that_is_no_config(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(ParameterError, match=says):
        read_architecture(str(path))


def test_oblong_images_are_refused(tmp_path: Path) -> None:
    vision = CONFIG["vision_cfg"] | {"image_size": [32, 64]}
    with pytest.raises(ParameterError, match="64x32, not square"):
        build_network(read_architecture(str(write_config(tmp_path, vision_cfg=vision))), None)


def test_weights_of_another_architecture(tmp_path: Path) -> None:
    _, _, weights = made_network(tmp_path)
    other = read_architecture(str(write_config(tmp_path, embed_dim=8)))
    with pytest.raises(PipelineError, match=r"does not fit the architecture.*size mismatch"):
        build_network(other, weights)


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    _, config, weights = made_network(tmp_path)
    state = load_file(weights)
    state["visual.proj"][0, 0] = float("nan")
    save_file(state, weights)
    with pytest.raises(PipelineError, match=r"visual.proj holds NaN or infinite numbers"):
        build_network(read_architecture(str(config)), weights)


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("ran",)


def test_code_of_a_pickle_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, config, _ = made_network(tmp_path)
    path = tmp_path / "evil.pt"
    torch.save({"visual.proj": _Evil()}, path)
    with pytest.raises(PipelineError, match="nothing of it was run"):
        build_network(read_architecture(str(config)), path)
    old = tmp_path / "old.bin"
    old.write_bytes(pickle.dumps(_Evil(), protocol=2))
    with pytest.raises(PipelineError, match="nothing of it was run"):
        build_network(read_architecture(str(config)), old)
    assert "ran" not in capsys.readouterr().out


def test_a_torchscript_archive_is_named(tmp_path: Path) -> None:
    _, config, _ = made_network(tmp_path)
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), stream)
    path = tmp_path / "ViT-B-32.pt"
    path.write_bytes(stream.getvalue())
    says = r"TorchScript archive.*state_dict\(\) as safetensors.*ViT-B-32::openai"
    with pytest.raises(PipelineError, match=says):
        build_network(read_architecture(str(config)), path)


def test_other_files_are_no_weights(tmp_path: Path) -> None:
    _, config, _ = made_network(tmp_path)
    path = tmp_path / "weights.ckpt"
    path.write_bytes(b"0" * 99)
    with pytest.raises(PipelineError, match=r"weights.ckpt is no weights file"):
        build_network(read_architecture(str(config)), path)
