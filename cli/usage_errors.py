"""One-line messages for an invalid command line, with the closest valid name."""

from __future__ import annotations

import re
from typing import Any

import typer

from pipeline.errors import meant

UsageError: type[Any] = typer.BadParameter.__mro__[1]
"""The base class of usage errors; typer exports only its subclasses."""
_QUOTED = re.compile(r"'([^']+)'")
_OPTIONS = re.compile(r"No such option: (\S+?)\.? \(Possible options: ([^)]+)\)")


def message_of(error: Any) -> str:
    """One line: what is wrong, what was probably meant, and which help to read."""
    message = " ".join(error.format_message().split()).replace("Value error, ", "")
    message = _choice(_option(message)).replace(". Did you mean", "; did you mean").rstrip(".")
    path = error.ctx.command_path if error.ctx is not None else "spfem-data"
    see = " See" if message.endswith("?") else "; see"
    return f"{message[:1].lower()}{message[1:]}{see}: {path} --help"


def _option(message: str) -> str:
    match = _OPTIONS.match(message)
    if not match:
        return message
    return f"No such option: {match[1]}" + meant(match[1], match[2].split(", "))


def _choice(message: str) -> str:
    _, is_choice, choices = message.partition(" is not one of ")
    if not is_choice:
        return message
    given = _QUOTED.findall(message.removesuffix(choices))[-1]
    return message.rstrip(".") + meant(given, _QUOTED.findall(choices))
