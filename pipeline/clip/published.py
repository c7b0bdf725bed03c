"""open_clip's table of published weights: normalisation, interpolation and activation of each."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

from pipeline.errors import MissingExtraError

_ALIAS = "_open_clip_tables"
_PREPROCESS = ("mean", "std", "interpolation")


def published(name: str) -> Mapping[str, Mapping[str, Any]]:
    """The published weights of an architecture by tag; empty for one without any.

    Raises
    ------
    MissingExtraError
        When open_clip is not installed.
    """
    tags: Mapping[str, Mapping[str, Any]] = _table().get(name, {})
    return tags


def preprocess_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Mean, standard deviation and interpolation of one entry of the table."""
    return {
        key: list(settings[key]) if isinstance(settings[key], tuple) else settings[key]
        for key in _PREPROCESS
        if settings.get(key)
    }


def has_quick_gelu(settings: Mapping[str, Any]) -> bool:
    """Whether these weights were trained with QuickGELU instead of GELU."""
    return bool(settings.get("quick_gelu"))


@cache
def _table() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """The table, imported without the rest of open_clip, which takes seconds to import."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None:
        raise MissingExtraError("open_clip", "build")
    package = ModuleType(_ALIAS)
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules[_ALIAS] = package
    table: Mapping[str, Any] = importlib.import_module(f"{_ALIAS}.pretrained")._PRETRAINED
    return table
