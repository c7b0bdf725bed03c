"""Read YAML written by people; every error is one line."""

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
"""What ruamel raises on invalid text or values: a thirteenth month, `!!int x`, a number of five
thousand digits, unclosed brackets, overlapping comments."""


_MAX_DEPTH = 100
"""Nesting limit; on thousands of nested brackets, ruamel takes seconds."""


def read_text(path: Path) -> str:
    """The text of a file, with its line endings.

    Raises
    ------
    ParameterError
        The file cannot be read or is not UTF-8.
    """
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} cannot be read: {error}") from error


def parse_yaml(text: str, where: str, *, with_places: bool = False) -> Any:
    """Parse a text; `where` names it in errors.

    Parameters
    ----------
    with_places
        Keep the line numbers of keys and the formatting, for editing.

    Raises
    ------
    ParameterError
        The text is not valid YAML.
    """
    if _depth(text) > _MAX_DEPTH:
        raise ParameterError(f"{where} is not YAML: brackets nested deeper than {_MAX_DEPTH}")
    reader = YAML() if with_places else YAML(typ="safe", pure=True)
    try:
        return reader.load(text)
    except _FAULTS as error:
        detail = " ".join(str(error).split())[:600] or type(error).__name__
        raise ParameterError(f"{where} is not YAML: {detail}") from error


def _depth(text: str) -> int:
    """The nesting depth of brackets, including those in quotes and comments."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
