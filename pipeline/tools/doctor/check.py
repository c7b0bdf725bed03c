"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """A check, its state, details, and the command or setting that fixes the problem.

    `warn`: works, but could be better. `fail`: commands would fail.
    """

    name: str
    state: State
    detail: str
    fix: str = ""

    def __post_init__(self) -> None:
        if (self.state == "ok") == bool(self.fix):
            raise AssertionError(f"{self.name}: needs a fix if and only if it is not ok")


def in_words(size: float) -> str:
    """A number of bytes with a unit, in steps of 1000.

    >>> in_words(2_340_000_000)
    '2.3 GB'
    """
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
