"""YAML that people wrote: read by ruamel, and whatever is wrong with it one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import ParameterError

_FAULTS = (
    YAMLError, NotImplementedError, RecursionError, ValueError, LookupError, TypeError,
    AttributeError, OverflowError,
)  # fmt: skip
"""What ruamel raises on text that is no YAML, or no value: a thirteenth month, `!!int x`, a number
of five thousand digits, brackets without end, comments that overlap."""


_DEEPEST = 100
"""Nesting of brackets; ruamel needs seconds to find that some thousands are too many."""


def read_text(path: Path) -> str:
    """The text of a file, its line ends as they are.

    Raises
    ------
    ParameterError
        Where it cannot be read or is not UTF-8.
    """
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} cannot be read: {error}") from error


def parse_yaml(text: str, where: str, *, with_places: bool = False) -> Any:
    """The value of a text; `where` is how errors call it.

    Parameters
    ----------
    with_places
        Mappings know the lines of their keys, and how they were written.

    Raises
    ------
    ParameterError
        One line.
    """
    if _depth(text) > _DEEPEST:
        raise ParameterError(f"{where} is not YAML: brackets nested deeper than {_DEEPEST}")
    reader = YAML() if with_places else YAML(typ="safe", pure=True)
    try:
        return reader.load(text)
    except _FAULTS as error:
        said = " ".join(str(error).split())[:600] or type(error).__name__
        raise ParameterError(f"{where} is not YAML: {said}") from error


def _depth(text: str) -> int:
    """How deep brackets are nested; those in quotes and comments count, too."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
