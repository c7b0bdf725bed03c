"""The worker's side, the same on every engine: set up the state once, then answer item by item.

Answers are pickled here, so that a result that cannot be pickled is reported as such, and unpickled
by `read`, so that a damaged answer fails its item and not the run.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, ClassVar

TRIES = 3
"""How often an item is given to a worker before it counts as failed."""


@dataclass(frozen=True)
class Died:
    """The outcome of an item whose worker died on every try.

    `reason` is a slug of `pipeline.errors.REASONS`. `detail` is the same on every engine.
    """

    tries: int
    reason: ClassVar[str] = "worker_died"
    _text: ClassVar[str] = "the worker process died on it each time"

    @property
    def detail(self) -> str:
        """A description for people."""
        return self._text.format(self)


@dataclass(frozen=True)
class TimedOut(Died):
    """The item exceeded the time limit and its worker was killed.

    It is not tried again: a hang would cost the limit each time.
    """

    limit_s: float
    reason = "timed_out"
    _text = "it took longer than --item-timeout {0.limit_s:g} (seconds)"


@dataclass(frozen=True)
class MemoryExceeded(Died):
    """The item's worker exceeded the memory limit and was killed; the item is not tried again."""

    limit_gb: float
    reason = "too_much_memory"
    _text = "its worker used more than --worker-memory {0.limit_gb:g} (GB)"


@dataclass(frozen=True)
class InvalidResult(Died):
    """The worker returned an invalid result; it was replaced and the item tried again."""

    reason = "worker_garbled"
    _text = "the worker process returned an invalid result each time"


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


_KEPT_BYTES = {-1: 256 << 20, -3: 32 << 20}
"""glibc's M_TRIM_THRESHOLD, and M_MMAP_THRESHOLD at its largest value."""
_OUT_OF_MEMORY = 77
"""The exit code of a worker that ran out of memory: its heap can no longer be trusted."""
_UNREADABLE = (
    pickle.UnpicklingError, AttributeError, EOFError, ImportError, LookupError, MemoryError,
    OverflowError, TypeError, ValueError,
)  # fmt: skip
"""What unpickling damaged data raises, according to the documentation of `pickle`."""


class RemoteTraceback(Exception):
    """A worker's traceback, as the cause of the exception that is raised again here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def keep_freed_memory() -> None:
    """Let glibc keep up to 256 MB of freed memory for the next arrays.

    Every item allocates and frees matrices of a megabyte. By default glibc returns each to the
    kernel, which clears it again: a fifth of the time of `align`. Does nothing without glibc.
    """
    if sys.platform == "linux":
        tune = getattr(ctypes.CDLL(None), "mallopt", None)
        if tune is not None:
            for parameter, value in _KEPT_BYTES.items():
                tune(parameter, value)


def answer(call: Callable[[], Any]) -> bytes:
    """What `call` returns or raises, pickled as (kind, value, traceback)."""
    try:
        return pickle.dumps(("done", call(), ""))
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)
    except BaseException as error:  # raised again in the run's process
        return _raised(error, traceback.format_exc())


def _raised(error: BaseException, text: str) -> bytes:
    try:
        content = pickle.dumps(("raised", error, text))
        pickle.loads(content)
    except (pickle.PicklingError, *_UNREADABLE):
        return pickle.dumps(("raised", RuntimeError(f"{type(error).__name__}: {error}"), text))
    return content


def read(content: bytes) -> Any:
    """The result in an answer, or `InvalidResult`; the worker's exception is raised again."""
    try:
        kind, value, text = pickle.loads(content)
    except _UNREADABLE:
        return InvalidResult(1)
    if kind == "raised":
        raise value from RemoteTraceback(text)
    return value if kind == "done" else InvalidResult(1)


def serve(pipe: Connection, fn: Callable[[Any, Any], Any], setup: Callable[[], Any]) -> None:
    """The main loop of a spawned worker: report when set up, then answer until the pipe closes."""
    # Ctrl-C reaches the whole process group; the parent ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    state: list[Any] = []
    pipe.send_bytes(answer(lambda: state.append(setup())))
    while state:
        try:
            content = pipe.recv_bytes()
        except EOFError:
            return
        pipe.send_bytes(answer(lambda: fn(state[0], pickle.loads(content))))  # noqa: B023


def _end_with_parent() -> None:
    """End this worker if its parent was killed; its files are complete or absent."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
