from pathlib import Path

import pytest
import torch

from pipeline.clip.architecture import read_architecture
from pipeline.clip.network import build_network
from pipeline.clip.precision import run_products_in_bf16
from tests.builders.tiny_clip import CONFIG, write_config


def wide(folder: Path) -> torch.nn.Module:
    """A tower of 384 channels and two blocks."""
    vision = {"image_size": 32, "layers": 2, "width": 384, "patch_size": 8, "head_width": 64}
    torch.manual_seed(4)
    config = write_config(folder, vision_cfg=vision, embed_dim=64)
    return build_network(read_architecture(str(config)), None).model.visual


def test_wide_products_run_in_bf16_and_the_rest_does_not(tmp_path: Path) -> None:
    tower = wide(tmp_path)
    run_products_in_bf16(tower)
    kinds = {name: values.dtype for name, values in tower.named_parameters()}
    block = "transformer.resblocks.0"
    assert kinds[f"{block}.attn.in_proj_weight"] == torch.bfloat16
    assert kinds[f"{block}.mlp.c_fc.weight"] == torch.bfloat16
    assert kinds[f"{block}.ln_1.weight"] == kinds["proj"] == torch.float32
    assert kinds["conv1.weight"] == torch.float32  # it reads three channels


@pytest.mark.slow
def test_embeddings_stay_nearer_than_with_all_of_it_cast(tmp_path: Path) -> None:
    images = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    plain, mixed, whole = wide(tmp_path), wide(tmp_path), wide(tmp_path).bfloat16()
    run_products_in_bf16(mixed)
    with torch.inference_mode():
        expected, found = plain(images), mixed(images)
        cast = whole(images.bfloat16()).float()
    assert found.dtype == torch.float32
    gap = (found - expected).norm() / expected.norm()
    assert 0 < gap.item() < 0.01
    assert gap < 0.7 * (cast - expected).norm() / expected.norm()


@pytest.mark.parametrize("layers", [2, [1, 1, 1, 1]])
def test_narrow_towers_stay_as_they_are(tmp_path: Path, layers: object) -> None:
    vision = CONFIG["vision_cfg"] | {"layers": layers}
    if isinstance(layers, list):
        vision |= {"width": 8, "image_size": 64}
    tower = build_network(
        read_architecture(str(write_config(tmp_path, vision_cfg=vision))), None
    ).model.visual
    run_products_in_bf16(tower)
    assert {values.dtype for values in tower.parameters()} == {torch.float32}
