"""How much is printed: normal output, errors only (--quiet), or also details (--verbose)."""

from __future__ import annotations

_QUIET, _NORMAL, _VERBOSE = -1, 0, 1
_level = _NORMAL


def begin() -> None:
    """Reset to normal output, at the start of a command."""
    global _level
    _level = _NORMAL


def choose(*, quiet: bool, verbose: bool) -> None:
    """Apply the options; with both, quiet wins."""
    global _level
    if quiet:
        _level = _QUIET
    elif verbose and _level == _NORMAL:
        _level = _VERBOSE


def is_quiet() -> bool:
    """Whether only errors are printed."""
    return _level == _QUIET


def is_verbose() -> bool:
    """Whether details are printed."""
    return _level == _VERBOSE
