"""The errors that the reader raises; `pipeline.errors` adds those of the pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LIKE = 0.6
"""Share of two names that must agree for one to be taken for the other, mistyped."""


def meant(given: str, known: Iterable[str]) -> str:
    """What to add to a message about a name that is none: the nearest one that is, if any.

    >>> meant("algin", ["align", "pose"])
    "; did you mean 'align'?"
    """
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(given.lower(), list(by_lower), 1, _LIKE)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""


def printable(text: str) -> str:
    """Text for a table or a terminal: what would move a cursor or turn a line is written out.

    Names of files and members come from strangers; they may hold line ends and escape sequences.

    >>> printable("take\\n\\x1b[2J.mp4")
    'take\\\\n\\\\x1b[2J.mp4'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _written_out(c) for c in text)


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode()


class SpfemError(Exception):
    """The root of all errors that this package raises on purpose."""


class PipelineError(SpfemError):
    """The user must do something; the message is one line that says what."""

    def __init__(self, message: str = "") -> None:
        if not message.isprintable():  # what a library said may have several lines
            message = printable(" ".join(message.split()))
        super().__init__(message)


class TableError(PipelineError):
    """A table on disk is not what this version writes."""
