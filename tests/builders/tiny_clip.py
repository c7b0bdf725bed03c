"""A network of open_clip's, small enough for a test, and its files."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from pipeline.clip.architecture import read_architecture
from pipeline.clip.network import ClipNetwork, build_network

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": 32, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16,
    },
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}  # fmt: skip
PROMPTS = [[f"a {word} face", word] for word in ("calm", "glad", "cross", "stunned", "afraid",
                                                  "sad", "sick")]  # fmt: skip


def write_config(folder: Path, **changes: object) -> Path:
    """A config JSON; `changes` replace top-level keys."""
    path = folder / "tiny.json"
    path.write_text(json.dumps(CONFIG | changes), encoding="utf-8")
    return path


def made_network(folder: Path) -> tuple[ClipNetwork, Path, Path]:
    """A random network whose scores differ from image to image, its config and its weights."""
    config = write_config(folder)
    torch.manual_seed(3)
    network = build_network(read_architecture(str(config)), None)
    with torch.no_grad():
        network.model.logit_scale.fill_(3.0)
        network.model.visual.proj.mul_(8)
    weights = folder / "tiny.safetensors"
    save_file({k: v.contiguous() for k, v in network.model.state_dict().items()}, weights)
    return network, config, weights
