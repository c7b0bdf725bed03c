"""How long work tells how far it is; the terminal has one way, a test another."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """How work tells how far it is."""

    def start(self, label: str, total: int) -> None:
        """Begin a count up to `total`."""

    def step(self) -> None:
        """One more is done."""

    def stop(self) -> None:
        """The count has ended."""


class Silent:
    """Progress that nobody watches."""

    def start(self, label: str, total: int) -> None:
        """Say nothing."""

    def step(self) -> None:
        """Say nothing."""

    def stop(self) -> None:
        """Say nothing."""
