"""open_clip, imported also where torchvision's compiled part does not fit torch.

Importing it takes seconds (all of timm, torch's compiler): what plans alone reads its files.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import MissingExtraError

_MISSING = "torchvision::nms"
_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_kept: list[torch.library.Library] = []
"""A library's definitions live as long as the object."""


def open_clip() -> Any:
    """The module open_clip.

    It imports torchvision for its transforms alone. A torchvision built for another torch stops at
    operators that its extension should have registered and that nothing here calls: then, and only
    then, they are declared without a body.

    Raises
    ------
    MissingExtraError
        When open_clip is not installed.
    """
    try:
        import_torchvision()
        return importlib.import_module("open_clip")
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "build") from None


CONFIG_KEYS = ("embed_dim", "vision_cfg", "text_cfg")
"""What a config of an architecture holds."""


def known_config(name: str) -> dict[str, Any] | None:
    """The config of an architecture that open_clip knows, None where it knows none of that name.

    Raises
    ------
    MissingExtraError
        When open_clip is not installed.
    """
    spec = importlib.util.find_spec("open_clip")
    if spec is None:
        raise MissingExtraError("open_clip", "build")
    for folder in spec.submodule_search_locations or ():
        for path in Path(folder, "model_configs").glob("*.json"):
            if path.stem == name:
                config = json.loads(path.read_bytes())
                return config if all(key in config for key in CONFIG_KEYS) else None
    return None


def import_torchvision() -> None:
    """torchvision, with operators that its extension failed to register declared: see open_clip."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING not in str(error):
            raise
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in _OPERATORS:
            library.define(f"{name}{_SCHEMA}")  # type: ignore[no-untyped-call]
        _kept.append(library)
        importlib.import_module("torchvision")
