"""A worker's side, the same on every engine: bring the state up once, answer item by item.

An answer is pickled here, so that what cannot be pickled is told as what it is, and read there, so
that what cannot be read costs its item and not the run.
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
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from pipeline.runtime.executor.outcomes import InvalidResult

_KEPT_BYTES = {-1: 256 << 20, -3: 32 << 20}
"""glibc's M_TRIM_THRESHOLD, and M_MMAP_THRESHOLD at the most that it takes."""
_STARVED = 77
"""The exit code of a worker that ran out of memory: its heap is not to be trusted further."""
_UNREADABLE = (
    pickle.UnpicklingError, AttributeError, EOFError, ImportError, LookupError, MemoryError,
    OverflowError, TypeError, ValueError,
)  # fmt: skip
"""What reading a damaged pickle raises, by the documentation of `pickle`."""


class Remote(Exception):
    """The traceback of what a worker raised, as the cause of what is raised here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def keep_freed_memory() -> None:
    """Let the allocator keep what was freed, up to 256 MB, for the next array of that size.

    Matrices of a megabyte come and go with every item; glibc gives each back to the kernel, which
    clears it anew: a fifth of the time of `align`. Elsewhere than under glibc nothing is done.
    """
    if sys.platform == "linux":
        tune = getattr(ctypes.CDLL(None), "mallopt", None)
        if tune is not None:
            for parameter, value in _KEPT_BYTES.items():
                tune(parameter, value)


def answer(call: Callable[[], Any]) -> bytes:
    """What `call` gives, or what it raises, pickled as (kind, value, traceback)."""
    try:
        return pickle.dumps(("done", call(), ""))
    except MemoryError:
        os._exit(_STARVED)
    except BaseException as error:  # is raised again where the run is
        return _raised(error, traceback.format_exc())


def _raised(error: BaseException, text: str) -> bytes:
    try:
        content = pickle.dumps(("raised", error, text))
        pickle.loads(content)
    except (pickle.PicklingError, *_UNREADABLE):
        return pickle.dumps(("raised", RuntimeError(f"{type(error).__name__}: {error}"), text))
    return content


def read(content: bytes) -> Any:
    """The result inside an answer, or `InvalidResult`; what the worker raised is raised again."""
    try:
        kind, value, text = pickle.loads(content)
    except _UNREADABLE:
        return InvalidResult(1)
    if kind == "raised":
        raise value from Remote(text)
    return value if kind == "done" else InvalidResult(1)


def serve(pipe: Connection, fn: Callable[[Any, Any], Any], setup: Callable[[], Any]) -> None:
    """The life of a spawned worker: say when it is ready, then answer until the pipe closes."""
    # Ctrl-C reaches the whole group: the parent decides, and ends its workers.
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
        pipe.send_bytes(answer(partial(_apply, fn, state[0], content)))


def _apply(fn: Callable[[Any, Any], Any], state: Any, item: bytes) -> Any:
    return fn(state, pickle.loads(item))


def _end_with_parent() -> None:
    """A worker whose parent was killed has nobody to work for; its files are whole or absent."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
