"""The interface for progress; the command line shows a bar."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A counter of finished items."""

    def start(self, label: str, total: int) -> None:
        """Start counting up to `total`."""

    def step(self) -> None:
        """Count one item."""

    def stop(self) -> None:
        """End the count."""


class Silent:
    """Progress that is not shown."""

    def start(self, label: str, total: int) -> None:
        """Do nothing."""

    def step(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""
