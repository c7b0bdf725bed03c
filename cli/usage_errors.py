"""What to say of a command line that is not understood: one line, and what was meant."""

from __future__ import annotations

import re
from typing import Any

import typer

from pipeline.errors import meant

UsageError: type[Any] = typer.BadParameter.__mro__[1]
"""The class of all errors of usage; typer shows its subclasses alone."""
_QUOTED = re.compile(r"'([^']+)'")
_OPTIONS = re.compile(r"No such option: (\S+?)\.? \(Possible options: ([^)]+)\)")


def said_of(error: Any) -> str:
    """One line: what is wrong, what was meant, where to read on."""
    message = " ".join(error.format_message().split()).replace("Value error, ", "")
    message = _choice(_option(message)).replace(". Did you mean", "; did you mean").rstrip(".")
    path = error.ctx.command_path if error.ctx is not None else "spfem-data"
    see = " See" if message.endswith("?") else "; see"
    return f"{message[:1].lower()}{message[1:]}{see}: {path} --help"


def _option(message: str) -> str:
    found = _OPTIONS.match(message)
    if not found:
        return message
    return f"No such option: {found[1]}" + meant(found[1], found[2].split(", "))


def _choice(message: str) -> str:
    _, is_choice, choices = message.partition(" is not one of ")
    if not is_choice:
        return message
    given = _QUOTED.findall(message.removesuffix(choices))[-1]
    return message.rstrip(".") + meant(given, _QUOTED.findall(choices))
