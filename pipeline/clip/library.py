"""Import open_clip, even where torchvision's compiled extension does not fit torch.

The import takes three seconds of a core, so planning reads open_clip's config files and its table
of published weights without the rest.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from pipeline.errors import MissingExtraError

_ALIAS = "_open_clip_tables"
_MISSING = "torchvision::nms"
_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_kept: list[torch.library.Library] = []
"""The definitions exist as long as the library object."""


def open_clip() -> Any:
    """The module open_clip.

    open_clip needs only torchvision's transforms. A torchvision built for another torch fails on
    import because its extension did not register its operators; in that case they are declared
    without an implementation.

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
"""The keys of an architecture's config."""


def known_config(name: str) -> dict[str, Any] | None:
    """The config of an architecture by its open_clip name, None for an unknown name.

    Raises
    ------
    MissingExtraError
        When open_clip is not installed.
    """
    paths = [path for path in _config_files() if path.stem == name]
    config = json.loads(paths[0].read_bytes()) if paths else {}
    return config if all(key in config for key in CONFIG_KEYS) else None


def known_configs() -> dict[str, dict[str, Any]]:
    """The configs of all architectures of open_clip by name.

    Raises
    ------
    MissingExtraError
        When open_clip is not installed.
    """
    configs = {path.stem: json.loads(path.read_bytes()) for path in _config_files()}
    return {
        name: config
        for name, config in sorted(configs.items())
        if all(key in config for key in CONFIG_KEYS)
    }


@cache
def published() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """open_clip's table of published weights, by architecture and tag."""
    package = ModuleType(_ALIAS)
    package.__path__ = _folders()
    sys.modules[_ALIAS] = package
    table: Mapping[str, Any] = importlib.import_module(f"{_ALIAS}.pretrained")._PRETRAINED
    return table


def _config_files() -> list[Path]:
    folders = [Path(folder, "model_configs") for folder in _folders()]
    return [path for folder in folders for path in folder.glob("*.json")]


def _folders() -> list[str]:
    spec = importlib.util.find_spec("open_clip")
    if spec is None:
        raise MissingExtraError("open_clip", "build")
    return list(spec.submodule_search_locations or ())


def import_torchvision() -> None:
    """Import torchvision; declare the operators that its extension failed to register."""
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
