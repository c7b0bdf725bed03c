"""Names of a CLIP's tensors in other libraries' files, renamed to open_clip's.

Covers the prefixes of DataParallel and torch.compile, the three buffers of OpenAI's TorchScript
archives, and the layout of transformers' CLIPModel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from pipeline.models.stored_tensors import without_prefixes

_OPENAI_BUFFERS = ("input_resolution", "context_length", "vocab_size")
_TRANSFORMERS = "text_model.embeddings.token_embedding.weight"
_LAYER = re.compile(r"^(text|vision)_model\.encoder\.layers\.(\d+)\.(.+)$")
_QKV = re.compile(r"^self_attn\.([qkv])_proj\.(weight|bias)$")
_WHOLE = {
    "logit_scale": "logit_scale",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm": "ln_final",
    "text_projection.weight": "text_projection",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm": "visual.ln_pre",  # spelled so in transformers
    "vision_model.post_layernorm": "visual.ln_post",
    "visual_projection.weight": "visual.proj",
}
_TRANSPOSED = ("text_projection.weight", "visual_projection.weight")
_IN_LAYER = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_TOWERS = {"text": "transformer", "vision": "visual.transformer"}


def open_clip_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict under open_clip's names.

    Raises
    ------
    KeyError
        When a query, key or value of transformers' layout is missing.
    """
    plain = {without_prefixes(name): tensor for name, tensor in state.items()}
    plain = {name: tensor for name, tensor in plain.items() if name not in _OPENAI_BUFFERS}
    return _from_transformers(plain) if _TRANSFORMERS in plain else plain


def _from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        layer = _LAYER.match(name)
        if name.endswith(".position_ids"):
            continue
        if layer is None:
            renamed[_renamed(name, _WHOLE)] = tensor.T if name in _TRANSPOSED else tensor
            continue
        tower, number, rest = layer.groups()
        place = f"{_TOWERS[tower]}.resblocks.{number}."
        if part := _QKV.match(rest):
            target = f"{place}attn.in_proj_{part[2]}"
            if target not in renamed:
                parts = [name.replace(f".{part[1]}_proj.", f".{letter}_proj.") for letter in "qkv"]
                renamed[target] = torch.cat([state[own] for own in parts])
        else:
            renamed[place + _renamed(rest, _IN_LAYER)] = tensor
    return renamed


def _renamed(name: str, table: Mapping[str, str]) -> str:
    """The name in the table, or that of the module it belongs to; an unknown name stays."""
    module, _, part = name.rpartition(".")
    if name in table:
        return table[name]
    return f"{table[module]}.{part}" if module in table else name
