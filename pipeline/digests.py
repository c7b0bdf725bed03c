"""Digests of values and of files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def digest(value: Any) -> str:
    """Hexadecimal sha256 of a JSON-like value (dicts, lists, strings, numbers, booleans, None)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def short_digest(*parts: Any) -> str:
    """The first twelve hexadecimal digits of the digest of all parts."""
    return digest(list(parts))[:12]


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
