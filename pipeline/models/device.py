"""The device that a network runs on."""

from __future__ import annotations

import torch


def device_of(wanted: str) -> str:
    """`cpu` or `cuda`; `auto` is resolved for this machine."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted
