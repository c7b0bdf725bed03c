"""JSON spoilt in its shape: values of other kinds, keys gone, doubled, nested; still JSON."""

from __future__ import annotations

import json
import random
from typing import Any

_OTHERS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**30, 0.5, -0.0, float("nan"),
    float("inf"), "", "x", "a\nb", "\0", "\ud800", "ü" * 99, "../x", "1", [], {}, [[]], [0], [None],
    {"": {}}, {"x": 1}, "9" * 300, "@digits", "@deep",
)  # fmt: skip
_NOT_VALUES = {b'"@digits"': b"9" * 5000, b'"@deep"': b"[" * 3000 + b"]" * 3000}
"""What a reader of JSON may not take for a value, nor stumble over."""


def reshaped(rng: random.Random, raw: bytes) -> bytes | None:
    """The input with one to three of its values, keys or places changed; None for no JSON."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    for _ in range(rng.choice((1, 1, 2, 3))):
        value = _changed(rng, value)
    text = json.dumps(value).encode()
    for mark, meant in _NOT_VALUES.items():
        text = text.replace(mark, meant)
    return text


def _changed(rng: random.Random, value: Any) -> Any:
    """A copy with one change, at any depth."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        return _changed_object(rng, value)
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        how = rng.random()
        if how < 0.1:
            return value[:at] + value[at + 1 :]
        if how < 0.2:
            return value[:at] + value[at:] * 2
        return [*value[:at], _changed(rng, value[at]), *value[at + 1 :]]
    return [value] if rng.random() < 0.1 else rng.choice(_OTHERS)


def _changed_object(rng: random.Random, value: dict[str, Any]) -> dict[str, Any]:
    key = rng.choice(list(value))
    how = rng.random()
    if how < 0.1:
        return {name: held for name, held in value.items() if name != key}
    if how < 0.2:
        return {**value, str(rng.choice(_OTHERS))[:99]: value[key]}
    return {**value, key: _changed(rng, value[key])}
