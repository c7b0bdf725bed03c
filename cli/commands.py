"""Shared behaviour of all commands: --quiet, --verbose, an example, and the project's folder."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from cli import project, verbosity
from pipeline.stages import STAGES

Function = TypeVar("Function", bound=Callable[..., Any])

QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also print details, and where an error was raised.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON value to standard output.")
]
_LEVELS = {"quiet": QuietOption, "verbose": VerboseOption}
_PANELS = {
    "Set up and inspect": {"init", "doctor", "inventory", "plan", "status", "rejects"},
    "Pairs and files": {"align-pair", "audit-pairs", "show-pair"},
    "Finished shards": {"verify", "show", "diff", "export"},
    "Weights and maintenance": {"models", "train-encoder", "forget"},
}
"""Sections of the help, and the commands in each."""
EXAMPLES: dict[str, tuple[str, ...]] = {
    **{stage: (f"{stage} --dataset mead",) for stage in STAGES},
    "": ("doctor", "init", "run --dataset mead", "rejects --dataset mead"),
    "run": ("run --dataset mead", "run --dataset mead --to pose"),
    "rejects": ("rejects --dataset mead", "rejects --item 'M003_sad*' --stage align --json"),
    "demo": ("demo",),
    "extract": ("extract --dataset mead --workers 8", "extract --dataset mead --shard 2/8"),
    "score": ("score --dataset mead --workers 1",),
    "inventory": ("inventory --dataset mead", "inventory --dataset mead --details"),
    "status": ("status --dataset mead", "status --json"),
    "doctor": ("doctor", "doctor --fast --json"),
    "init": ("init", "init /disk/MEAD /disk/takes.csv --yes"),
    "plan": ("plan --dataset mead",),
    "forget": ("forget --speaker M003 --dry-run", "forget --speaker M003 --dataset mead"),
    "show-pair": ("show-pair M003_neutral_1_front_001--M003_sad_3_front_004 --out pair.png",),
    "align-pair": ("align-pair a.mp4 b.wav", "align-pair a.mp4 b.mp4 --fps 25 --json"),
    "audit-pairs": ("audit-pairs pairs.json --dataset mead",),
    "export": ("export --format pairs-json --dataset mead --out pairs.json",),
    "verify": ("verify data/mead/shards", "verify data/mead/shards --against other/shards"),
    "show": ("show data/mead/shards --where 'mouth_agreement > 0.8' --out sheet.png",),
    "diff": ("diff old/shards data/mead/shards",),
    "train-encoder": ("train-encoder --dataset mead --out runs/encoder",),
    "models": ("models list",),
    "models list": ("models list",),
    "models check": ("models check stylegan2-ffhq-config-f.pt",),
    "models convert": ("models convert e4e_ffhq_encode.pt --out weights/e4e.safetensors",),
    "models fetch": ("models fetch e4e",),
}
"""Examples of each command, shown below its help; a test parses all of them."""


class Commands(typer.Typer):
    """An application, or a group of commands named `group`."""

    def __init__(self, *, group: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._group = group

    def add_typer(self, typer_instance: typer.Typer, **options: Any) -> None:
        """As in typer, with the example and the section of the help."""
        name = options.get("name") or ""
        options.setdefault("rich_help_panel", _panel(name))
        options.setdefault("epilog", epilog(name))
        super().add_typer(typer_instance, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Function], Function]:
        """As in typer, with the shared options and the example."""

        def register(function: Function) -> Function:
            own = name or function.__name__.replace("_", "-")
            options.setdefault("epilog", epilog(f"{self._group} {own}".strip()))
            options.setdefault("rich_help_panel", None if self._group else _panel(own))
            super(Commands, self).command(name, **options)(with_levels(function))
            return function

        return register

    def callback(self, **options: Any) -> Callable[[Function], Function]:
        """As in typer, with the shared options and, for a group, the example."""

        def register(function: Function) -> Function:
            below = epilog(self._group)
            super(Commands, self).callback(epilog=below, **options)(with_levels(function))
            return function

        return register


def _panel(command: str) -> str:
    """The section of the help that lists a command."""
    if command in STAGES or command == "run":
        return "Stages, in the order of the pipeline"
    return next((panel for panel, names in _PANELS.items() if command in names), "More")


def epilog(command: str) -> str | None:
    """The examples below a command's help; None without any.

    The leading \\b stops typer from joining the lines.
    """
    lines = EXAMPLES.get(command)
    if not lines:
        return None
    head = "Example:" if len(lines) == 1 else "Examples:"
    return "\b\n" + "\n".join([head, *(f"  spfem-data {line}" for line in lines)])


def with_levels(function: Function) -> Function:
    """The function with --quiet and --verbose, run in the project's folder."""
    signature = inspect.signature(function, eval_str=True)
    defaults = {name: p.default for name, p in signature.parameters.items()}

    @functools.wraps(function)
    def with_options(
        *arguments: Any, quiet: bool = False, verbose: bool = False, **named: Any
    ) -> Any:
        verbosity.choose(quiet=quiet, verbose=verbose)
        return function(*arguments, **project.enter(named, defaults))

    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in _LEVELS.items()
    ]
    known = [p for p in signature.parameters.values() if p.name not in _LEVELS]
    with_options.__signature__ = signature.replace(parameters=[*known, *more])  # type: ignore[attr-defined]
    return with_options  # type: ignore[return-value]
