import io
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.clip.architecture import read_architecture
from pipeline.clip.network import build_network
from pipeline.errors import ParameterError, PipelineError
from tests.clip.tiny import CONFIG, PROMPTS, made_network, write_config


def test_a_name_of_open_clips_is_an_architecture() -> None:
    found = read_architecture("ViT-B-32")
    assert found.config["vision_cfg"]["patch_size"] == 32
    assert found.config["text_cfg"]["vocab_size"] == 49408


def test_configs_are_open_clips_own_and_it_is_not_imported_for_them() -> None:
    script = """
import sys
from pipeline.clip.architecture import read_architecture
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
    pictures = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(again.encode_pictures(pictures), network.encode_pictures(pictures))
    assert again.scale.item() == pytest.approx(20.0855, rel=1e-4)
    assert (again.pictures.size_px, again.pictures.interpolation) == (32, "bicubic")


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


def test_a_hub_config_brings_its_own_pictures(tmp_path: Path) -> None:
    path = tmp_path / "open_clip_config.json"
    preprocess = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bilinear"}
    path.write_text(json.dumps({"model_cfg": CONFIG, "preprocess_cfg": preprocess}))
    pictures = build_network(read_architecture(str(path)), None).pictures
    assert (pictures.mean, pictures.interpolation) == ((0.5, 0.5, 0.5), "bilinear")
    assert pictures.size_px == 32


def test_two_configs_of_one_name_stay_apart(tmp_path: Path) -> None:
    one = build_network(read_architecture(str(write_config(tmp_path))), None)
    two = build_network(read_architecture(str(write_config(tmp_path, embed_dim=8))), None)
    assert (one.model.visual.proj.shape[1], two.model.visual.proj.shape[1]) == (16, 8)


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("ViT-Z-99", "open_clip knows no 'ViT-Z-99'"),
        ("nowhere.json", "there is no file nowhere.json"),
        ("roberta-ViT-B-32", "needs roberta-base from the hub, and nothing is downloaded"),
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
        ("{}", "is no open_clip config: no embed_dim"),
        ('{"embed_dim": 4, "vision_cfg": {}, "text_cfg": 5}', "text_cfg .* are objects"),
        (
            '{"embed_dim": 4, "vision_cfg": {}, "text_cfg": {"tokenizer_kwargs": {"bpe_path": 7}}}',
            "bpe_path is a text",
        ),
    ],
)
def test_a_file_that_is_no_config(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(ParameterError, match=says):
        read_architecture(str(path))


def test_oblong_pictures_are_refused(tmp_path: Path) -> None:
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
    with pytest.raises(PipelineError, match=r"visual.proj holds numbers that are not finite"):
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
    with pytest.raises(PipelineError, match=r"TorchScript archive.*quickgelu"):
        build_network(read_architecture(str(config)), path)


def test_other_files_are_no_weights(tmp_path: Path) -> None:
    _, config, _ = made_network(tmp_path)
    path = tmp_path / "weights.ckpt"
    path.write_bytes(b"0")
    with pytest.raises(PipelineError, match=r"\.safetensors, \.pt, \.pth or \.bin"):
        build_network(read_architecture(str(config)), path)
