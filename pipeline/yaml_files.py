"""YAML written by people: read with ruamel; every error is one line."""

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
"""What ruamel raises on text that is not YAML or has no value: a thirteenth month, `!!int x`, a
number of five thousand digits, brackets without end, overlapping comments."""
_CONFLICT = re.compile(r"^(?:<{7}|>{7}) ", re.M)

_DEEPEST = 100
"""Limit on nested brackets; ruamel needs seconds to refuse some thousands."""


def read_text(path: Path) -> str:
    """The text of a file, with its line ends unchanged.

    Raises
    ------
    ParameterError
        If it cannot be read or is not UTF-8.
    """
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} cannot be read: {error}") from error


def parse_yaml(text: str, where: str, *, with_places: bool = False) -> Any:
    """The value of a text; `where` is its name in error messages.

    Parameters
    ----------
    with_places
        Return mappings that know the lines of their keys and their style.

    Raises
    ------
    ParameterError
        In one line, if the text is not YAML or has merge conflict markers.
    """
    if (line := conflict_line(text)) is not None:
        raise ParameterError(
            f"{where} has merge conflict markers (line {line}); edit it to keep one version of "
            "each conflict, or take one side with: git checkout --ours (or --theirs) FILE"
        )
    if _depth(text) > _DEEPEST:
        raise ParameterError(f"{where} is not YAML: brackets nested deeper than {_DEEPEST}")
    reader = YAML() if with_places else YAML(typ="safe", pure=True)
    try:
        return reader.load(text)
    except _FAULTS as error:
        message = " ".join(str(error).split())[:600] or type(error).__name__
        raise ParameterError(f"{where} is not YAML: {message}") from error


def section_keys(text: str, section: str) -> list[str]:
    """The keys of a top-level section in block style, at two spaces; nothing else is parsed.

    >>> section_keys("a:\\n  x: 1\\n  y:\\n    z: 2\\nb:\\n  v: 3\\n", "a")
    ['x', 'y']
    """
    block = re.search(rf"^{re.escape(section)}:[^\n]*\n((?:[ #][^\n]*\n|\n)*)", text + "\n", re.M)
    return re.findall(r"^  ([^\s#:]+):", block[1], re.M) if block else []


def conflict_line(text: str) -> int | None:
    """The number, from 1, of the first line with a git conflict marker; None without one."""
    marker = _CONFLICT.search(text)
    return None if marker is None else text.count("\n", 0, marker.start()) + 1


def _depth(text: str) -> int:
    """The depth of nested brackets, including those in quotes and comments."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
