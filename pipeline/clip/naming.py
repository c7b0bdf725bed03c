"""Which open_clip architectures fit the tensors of a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipeline.clip.library import known_configs

Shapes = Mapping[str, tuple[int, ...]]
_OPENAI = "input_resolution"
_PLACES = {
    "open_clip": (
        "visual.conv1.weight", "visual.positional_embedding", "token_embedding.weight",
        r"visual\.transformer\.resblocks\.(\d+)\.",
    ),
    "transformers": (
        "vision_model.embeddings.patch_embedding.weight",
        "vision_model.embeddings.position_embedding.weight",
        "text_model.embeddings.token_embedding.weight",
        r"vision_model\.encoder\.layers\.(\d+)\.",
    ),
}  # fmt: skip
"""Patches, positions, tokens and layers of a vision transformer in each layout."""


def fitting_names(shapes: Shapes) -> list[str]:
    """The vision transformers of open_clip whose sizes are those of the tensors, by name.

    Parameters
    ----------
    shapes
        By name in open_clip's, OpenAI's or transformers' layout. OpenAI's own files give the tag
        `openai` with the name. Residual and other towers are not recognised.
    """
    sizes = next((own for own in (_sizes(shapes, *p) for p in _PLACES.values()) if own), None)
    if sizes is None:
        return []
    is_coca = any(name.startswith("text_decoder.") for name in shapes)
    names = [
        name
        for name, config in known_configs().items()
        if _config_sizes(config) == sizes and ("multimodal_cfg" in config) == is_coca
    ]
    plain = sorted(name for name in names if not name.endswith("-quickgelu"))
    return [f"{name}::openai" if _OPENAI in shapes else name for name in plain]


def _sizes(
    shapes: Shapes, patch: str, position: str, token: str, layer: str
) -> tuple[int, ...] | None:
    """Width, patch size, input side, layers, and width of the text tower."""
    if not {patch, position, token} <= set(shapes) or len(shapes[patch]) != 4:
        return None
    width, _, patch_size, _ = shapes[patch]
    grid = round((shapes[position][0] - 1) ** 0.5)
    layers = len({match[1] for name in shapes if (match := re.match(layer, name))})
    return width, patch_size, grid * patch_size, layers, shapes[token][-1]


def _config_sizes(config: Mapping[str, Any]) -> tuple[Any, ...]:
    vision, text = config["vision_cfg"], config["text_cfg"]
    names = ("width", "patch_size", "image_size", "layers")
    return (*(vision.get(name) for name in names), text.get("width"))
