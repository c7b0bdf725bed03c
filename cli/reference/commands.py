"""docs/reference/commands.md: every command with its arguments, options and defaults."""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from cli.main import app
from cli.reference.text import code, made_from, table

PAGE = Path("docs/reference/commands.md")
_EXAMPLES = re.compile(r"^Examples?:\n((?: +\S.*(?:\n|$))+)", re.M)
_WORDS = {str: "text", int: "number", float: "number", Path: "path", bool: "flag"}


def commands() -> list[tuple[str, Any]]:
    """Each runnable command as (`spfem-data a b`, command), in the order of the help."""
    return list(_below("spfem-data", typer.main.get_command(app)))


def page() -> str:
    """The page as Markdown."""
    parts = [
        "# Commands\n\n" + made_from("the command line's own help"),
        "A default after `$NAME` applies if that environment variable is not set. Exit codes:\n"
        "[The command line](../cli.md#exit-codes).",
        *(_section(path, command) for path, command in commands()),
    ]
    return "\n\n".join(parts) + "\n"


def _below(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None or command.invoke_without_command:
        yield path, command
    for name, child in (children or {}).items():
        yield from _below(f"{path} {name}", child)


def _section(path: str, command: Any) -> str:
    parts = [f"## `{path}`", _help(command.help or ""), _help(getattr(command, "epilog", "") or "")]
    shown = [p for p in command.params if not p.hidden and p.name != "help"]
    if shown:
        hints = typing.get_type_hints(inspect.unwrap(command.callback))
        rows = [_row(p, hints.get(p.name, str)) for p in shown]
        parts.append(table(["name", "value", "default", "meaning"], rows))
    return "\n\n".join(part for part in parts if part)


def _help(text: str) -> str:
    """A command's help, with its examples as a code block."""
    text = inspect.cleandoc(text).replace("\b\n", "")
    return _EXAMPLES.sub(lambda m: f"```sh\n{inspect.cleandoc(m[1])}\n```", text)


def _row(parameter: Any, hint: Any) -> tuple[str, str, str, str]:
    if parameter.param_type_name == "argument":
        name = code((parameter.metavar or parameter.name).upper())
    else:
        name = ", ".join(code(o) for o in [*parameter.opts, *parameter.secondary_opts])
    value = "flag" if getattr(parameter, "is_flag", False) else parameter.metavar or _value(hint)
    return name, value, _default(parameter), parameter.help or ""


def _value(hint: Any) -> str:
    """The accepted values, as text."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return _value(next(part for part in typing.get_args(hint) if part is not type(None)))
    if typing.get_origin(hint) is list:
        return _value(typing.get_args(hint)[0]) + ", repeatable"
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(code(str(choice)) for choice in typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return ", ".join(code(str(choice.value)) for choice in hint)
    return _WORDS.get(hint, "text")


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    environment = f"`${parameter.envvar}` " if parameter.envvar else ""
    value = parameter.default
    value = value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, bool):
        names = parameter.opts if value else parameter.secondary_opts
        return environment + (code(names[0]) if names else "off")
    return environment + ("" if value is None or callable(value) else code(str(value)))
