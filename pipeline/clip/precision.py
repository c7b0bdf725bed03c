"""Run wide matrix products in bfloat16 and everything else in float32.

Casting a whole network also rounds the residual stream and the norms: cosines are then off by up to
1e-3, which a logit scale of 100 turns into 0.1. Narrow products gain no time and lose precision.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_PRODUCTS = (nn.Linear, nn.Conv2d, nn.MultiheadAttention)
_WIDE = 384  # channels of ViT-S, the narrowest that gains
_WHOLE = ("AttentionPool2d", "Attention")
"""open_clip's modules that access their children's weights: kept in float32."""


def run_products_in_bf16(tower: nn.Module) -> None:
    """Cast a tower's linear layers, convolutions and attention to bfloat16; outputs are float32."""
    for module in _products(tower):
        module.to(torch.bfloat16)
        module.register_forward_pre_hook(_narrowed, with_kwargs=True)
        module.register_forward_hook(_widened)


def _products(module: nn.Module) -> list[nn.Module]:
    if type(module).__name__ in _WHOLE:
        return []
    if isinstance(module, _PRODUCTS):
        return [module] if _width(module) >= _WIDE else []
    return [found for child in module.children() for found in _products(child)]


def _width(module: nn.Module) -> int:
    """Input channels of a product."""
    for name in ("in_features", "in_channels", "embed_dim"):
        if hasattr(module, name):
            return int(getattr(module, name))
    return 0


def _narrowed(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    # Query, key and value must stay one tensor: attention then uses a single product.
    known: dict[int, Any] = {}
    for value in (*args, *kwargs.values()):
        known.setdefault(id(value), _cast(value, torch.bfloat16))
    narrow = {name: known[id(value)] for name, value in kwargs.items()}
    return tuple(known[id(value)] for value in args), narrow


def _widened(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
    if isinstance(output, tuple):
        return tuple(_cast(value, torch.float32) for value in output)
    return _cast(output, torch.float32)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return value.to(dtype) if floating else value
