"""The errors of the reader; `pipeline.errors` adds those of the pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

_LFS = b"version https://git-lfs.github.com/spec/"
_SIMILARITY = 0.6
"""Lowest ratio of matching characters for a suggestion."""


def meant(given: str, known: Iterable[str]) -> str:
    """A suggestion for a message about an unknown name: the most similar known one, or "".

    >>> meant("algin", ["align", "pose"])
    "; did you mean 'align'?"
    """
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(given.lower(), list(by_lower), 1, _SIMILARITY)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""


def printable(text: str) -> str:
    """Text for a table or a terminal, with control characters escaped.

    Names of files and archive members are untrusted: they may contain line ends and escape
    sequences.

    >>> printable("take\\n\\x1b[2J.mp4")
    'take\\\\n\\\\x1b[2J.mp4'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class SpfemError(Exception):
    """Base of all errors that this package raises on purpose."""


class PipelineError(SpfemError):
    """The user must act; the message is one line that says how."""

    def __init__(self, message: str = "") -> None:
        if not message.isprintable():  # a library's message may have several lines
            message = printable(" ".join(message.split()))
        super().__init__(message)


class TableError(PipelineError):
    """A table or shard on disk cannot be read, or a request does not fit it."""


def unreadable(path: Path, error: Exception) -> TableError:
    """What is wrong with a file or folder that cannot be read, and what to do."""
    if isinstance(error, PermissionError):
        advice = f"ask its owner for read permission (chmod -R a+rX {path})"
        return TableError(f"{path} cannot be read: permission denied; {advice}")
    head = _head(path)
    if head.startswith(_LFS):
        return TableError(f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull`")
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return TableError(f"{path} is a web page, not the file itself: download the file again")
    return TableError(f"{path} cannot be read: {error}; fetch or build the file again")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError:
        return b""
