"""Commands as this program has them: each takes --quiet and --verbose and shows an example."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from cli import verbosity
from cli.examples import EXAMPLES
from pipeline.stages import STAGES

Function = TypeVar("Function", bound=Callable[..., Any])

QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also say how it is done, and where an error arose.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value, for machines.")]
_LEVELS = {"quiet": QuietOption, "verbose": VerboseOption}
_PANELS = {
    "Set up and look": {"init", "doctor", "inventory", "plan", "status"},
    "Pairs and files": {"align-pair", "audit-pairs", "show-pair"},
    "Finished shards": {"verify", "show", "diff", "export"},
    "Weights and upkeep": {"models", "train-encoder", "forget"},
}
"""Parts of the help, and the commands in each."""


class Commands(typer.Typer):
    """An application, or a group of one: `group` is the name before its commands."""

    def __init__(self, *, group: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._group = group

    def add_typer(self, typer_instance: typer.Typer, **options: Any) -> None:
        """As typer's, with the example, in the part of the help that the group belongs to."""
        name = options.get("name") or ""
        options.setdefault("rich_help_panel", _panel(name))
        options.setdefault("epilog", epilog(name))
        super().add_typer(typer_instance, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Function], Function]:
        """As typer's, with the shared options and the example."""

        def register(function: Function) -> Function:
            own = name or function.__name__.replace("_", "-")
            options.setdefault("epilog", epilog(f"{self._group} {own}".strip()))
            options.setdefault("rich_help_panel", None if self._group else _panel(own))
            super(Commands, self).command(name, **options)(with_levels(function))
            return function

        return register

    def callback(self, **options: Any) -> Callable[[Function], Function]:
        """As typer's, with the shared options; a group that is a command has an example, too."""

        def register(function: Function) -> Function:
            below = epilog(self._group)
            super(Commands, self).callback(epilog=below, **options)(with_levels(function))
            return function

        return register


def _panel(command: str) -> str:
    """The part of the help that a command stands in."""
    if command in STAGES:
        return "Stages, in the order of the way"
    return next((panel for panel, names in _PANELS.items() if command in names), "More")


def epilog(command: str) -> str | None:
    """What stands below a command's help; None where there is no example of it.

    The leading \\b keeps typer from running the lines together.
    """
    lines = EXAMPLES.get(command)
    if not lines:
        return None
    head = "Example:" if len(lines) == 1 else "Examples:"
    return "\b\n" + "\n".join([head, *(f"  spfem-data {line}" for line in lines)])


def with_levels(function: Function) -> Function:
    """The function with two options more, which it does not see."""

    @functools.wraps(function)
    def told(*arguments: Any, quiet: bool = False, verbose: bool = False, **named: Any) -> Any:
        verbosity.choose(quiet=quiet, verbose=verbose)
        return function(*arguments, **named)

    signature = inspect.signature(function, eval_str=True)
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in _LEVELS.items()
    ]
    known = [p for p in signature.parameters.values() if p.name not in _LEVELS]
    told.__signature__ = signature.replace(parameters=[*known, *more])  # type: ignore[attr-defined]
    return told  # type: ignore[return-value]
