"""What is wrong with a dataset, and what its readers may raise on the way to finding it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

DAMAGE = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)
"""What pyarrow and the decoders raise on bytes that are not what they should be."""
_LONGEST = 300


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: which check found it, in which file, and what it is."""

    check: str
    where: str
    what: str

    def __post_init__(self) -> None:
        for name in ("where", "what"):
            object.__setattr__(self, name, plain(getattr(self, name)))

    def as_json(self) -> dict[str, str]:
        """The finding for machines."""
        return {"check": self.check, "where": self.where, "what": self.what}


def plain(text: Any) -> str:
    """Text of unknown origin as one line without control characters, cut where it is long."""
    line = " ".join(str(text).split())
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."
