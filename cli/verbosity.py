"""How much is said: everything, errors alone (--quiet), or also how it is done (--verbose)."""

from __future__ import annotations

_QUIET, _USUAL, _VERBOSE = -1, 0, 1
_level = _USUAL


def begin() -> None:
    """The usual, at the start of a command line."""
    global _level
    _level = _USUAL


def choose(*, quiet: bool, verbose: bool) -> None:
    """What an option asks for; of both, quiet wins."""
    global _level
    if quiet:
        _level = _QUIET
    elif verbose and _level == _USUAL:
        _level = _VERBOSE


def is_quiet() -> bool:
    """Whether errors alone are said."""
    return _level == _QUIET


def is_verbose() -> bool:
    """Whether it is also said how things are done."""
    return _level == _VERBOSE
