"""Conditions as people type them: `mouth_agreement > 0.8`, `emotion_b in happy,sad`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from pipeline.errors import ParameterError, meant
from spfem_data.conditions import Condition
from spfem_data.schema import COLUMNS

_CONDITION = re.compile(r"\s*(\w+)\s*(==|!=|<=|>=|<|>|=|\bin\b)\s*(.*?)\s*")


def conditions(config: str, texts: Sequence[str]) -> list[Condition]:
    """All of them; none where the config is unknown, which the reader refuses."""
    return [condition(config, text) for text in texts] if config in COLUMNS else []


def condition(config: str, text: str) -> Condition:
    """The condition that a text says.

    Raises
    ------
    ParameterError
        Where it is none, names no column, or its value is not of the column's type.
    """
    match = _CONDITION.fullmatch(text)
    if match is None or not match[3]:
        raise ParameterError(
            f"--where {text!r}: expected COLUMN, one of == != < <= > >= in, and a value, such as "
            "'mouth_agreement > 0.8' or 'emotion_b in happy,sad'"
        )
    name, operator, value = match.groups()
    kinds = {column.name: column.type for column in COLUMNS[config]}
    if name not in kinds:
        near = meant(name, kinds)
        raise ParameterError(
            f"--where {text!r}: {config} has no column {name!r}{near or '; see docs/columns.md'}"
        )
    read = _reader(kinds[name])
    try:
        if operator == "in":
            return name, "in", [read(part.strip()) for part in value.split(",")]
        return name, "==" if operator == "=" else operator, read(value)
    except ValueError as error:
        raise ParameterError(f"--where {text!r}: {value!r} is no {kinds[name]}") from error


def _reader(kind: pa.DataType) -> Callable[[str], Any]:
    if pa.types.is_integer(kind):
        return int
    if pa.types.is_floating(kind):
        return float
    if pa.types.is_boolean(kind):
        return _boolean
    if pa.types.is_string(kind):
        return str
    raise ParameterError(f"--where: columns of type {kind} are not compared")


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"
