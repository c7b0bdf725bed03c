"""The interface for progress; the command line shows a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Progress = Callable[[str, int], AbstractContextManager[Callable[[], None]]]
"""Shows a count up to a total, with a label; the block calls the function for each finished item.

    with progress("images", 20) as step:
        ...
"""


@contextmanager
def silent(label: str, total: int) -> Iterator[Callable[[], None]]:
    """Progress that is not shown."""
    yield lambda: None
