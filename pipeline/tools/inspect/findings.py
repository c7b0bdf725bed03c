"""Findings on a dataset, and the errors that its readers may raise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

DAMAGE = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)
"""The errors of pyarrow and of the decoders on invalid bytes."""
_LONGEST = 300


@dataclass(frozen=True)
class Finding:
    """One fault: the check, the file, and a description."""

    check: str
    where: str
    what: str

    def __post_init__(self) -> None:
        for name in ("where", "what"):
            object.__setattr__(self, name, plain(getattr(self, name)))

    def as_json(self) -> dict[str, str]:
        """The finding as JSON values."""
        return {"check": self.check, "where": self.where, "what": self.what}


def plain(text: Any) -> str:
    """Untrusted text as one line without control characters, shortened if long."""
    line = " ".join(str(text).split())
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."
