"""Outcomes of items that gave no result. They fail alone; the run continues."""

from __future__ import annotations

from dataclasses import dataclass

TRIES = 3
"""How often an item is given to a worker before it counts as failed."""


@dataclass(frozen=True)
class Died:
    """The outcome of an item whose worker died on every try.

    `reason` is a slug of `pipeline.errors.REASONS`. `detail` is the same on every engine.
    """

    tries: int
    reason = "worker_died"

    @property
    def detail(self) -> str:
        """A description for people."""
        return "the worker process died on it each time"


@dataclass(frozen=True)
class TimedOut(Died):
    """The item exceeded the time limit and its worker was killed.

    It is not tried again: a hang would cost the limit each time.
    """

    limit_s: float
    reason = "timed_out"

    @property
    def detail(self) -> str:
        """A description for people."""
        return f"it took longer than --item-timeout {self.limit_s:g} (seconds)"


@dataclass(frozen=True)
class MemoryExceeded(Died):
    """The item's worker exceeded the memory limit and was killed; the item is not tried again."""

    limit_gb: float
    reason = "too_much_memory"

    @property
    def detail(self) -> str:
        """A description for people."""
        return f"its worker used more than --worker-memory {self.limit_gb:g} (GB)"


@dataclass(frozen=True)
class InvalidResult(Died):
    """The worker returned an invalid result; it was replaced and the item tried again."""

    reason = "worker_garbled"

    @property
    def detail(self) -> str:
        """A description for people."""
        return "the worker process returned an invalid result each time"


@dataclass(frozen=True)
class Limits:
    """Limits of one item; if it exceeds them, its worker is killed. None: no limit.

    Attributes
    ----------
    item_s
        Seconds since a worker was given the item.
    worker_gb
        Resident memory of the worker process in GB (10^9 bytes); engine `processes` on Linux only.
    """

    item_s: float | None = None
    worker_gb: float | None = None
