"""What becomes of an item that gave no result: it costs itself, never the run."""

from __future__ import annotations

from dataclasses import dataclass

TRIES = 3
"""How often an item is given to a worker before it is given up."""


@dataclass(frozen=True)
class Died:
    """The outcome of an item whose worker died each time it was tried.

    `reason` is a slug of `pipeline.errors.REASONS`; `detail` says what was seen, the same on every
    engine.
    """

    tries: int
    reason = "worker_died"

    @property
    def detail(self) -> str:
        """What was seen, in words."""
        return "the worker process died on it each time"


@dataclass(frozen=True)
class TimedOut(Died):
    """The item held its worker beyond the limit; the worker was killed, the item not tried again:
    a hang would cost the limit each time."""

    limit_s: float
    reason = "timed_out"

    @property
    def detail(self) -> str:
        """What was seen, in words."""
        return f"it took longer than --item-timeout {self.limit_s:g} (seconds)"


@dataclass(frozen=True)
class MemoryExceeded(Died):
    """The item's worker held more memory than the limit and was killed; not tried again."""

    limit_gb: float
    reason = "too_much_memory"

    @property
    def detail(self) -> str:
        """What was seen, in words."""
        return f"its worker held more than --worker-memory {self.limit_gb:g} (GB)"


@dataclass(frozen=True)
class InvalidResult(Died):
    """What the worker sent back is no result; the worker was replaced, the item tried again."""

    reason = "worker_garbled"

    @property
    def detail(self) -> str:
        """What was seen, in words."""
        return "what the worker process sent back each time is no result"


@dataclass(frozen=True)
class Limits:
    """What one item may take before its worker is killed; None: no bound.

    Attributes
    ----------
    item_s
        Seconds from when a worker is given the item.
    worker_gb
        Resident memory of the worker's process in GB (10^9 bytes); processes on Linux alone.
    """

    item_s: float | None = None
    worker_gb: float | None = None
