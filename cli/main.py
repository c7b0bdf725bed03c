"""The application: all commands and the exit codes. Heavy imports stay inside functions."""

from __future__ import annotations

import errno
import re
import sys
import traceback
from typing import Annotated, Any

import typer

from cli import console, models, progress, stages, verbosity
from cli.commands import Commands
from cli.doctor import doctor
from cli.export import export
from cli.forget import forget
from cli.init import init
from cli.inspect import diff, show, verify
from cli.inventory import inventory, plan, status
from cli.models import train_encoder
from cli.pairs import align_pair, audit_pairs, show_pair
from cli.rejects import rejects
from cli.stages import run
from pipeline import __version__
from pipeline.errors import PartDone, PipelineError, meant
from pipeline.runtime import numerics

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


DONE, WRONG, MISUSED, BROKEN, STOPPED = 0, 1, 2, 3, 130
"""Exit codes; docs/cli.md lists them."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)

app = Commands(
    pretty_exceptions_enable=False,
    help="Build frame pairs (one speaker, the same moment of the same sentence, two emotions), "
    "score the reliability of each pair, and pack them into Parquet shards.",
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Print the version or the help."""
    if version:
        typer.echo(f"spfem-data {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


stages.register(app)
for command in (
    run, inventory, status, plan, rejects, doctor, init, align_pair, audit_pairs, show_pair, export,
    verify, show, diff, train_encoder, forget,
):  # fmt: skip
    app.command(command.__name__.replace("_", "-"))(command)
app.add_typer(models.app, name="models")


def main() -> None:
    """Run the command line and exit with its code. An error of the user is one line."""
    numerics.begin()
    sys.excepthook = _broken
    verbosity.begin()
    try:
        sys.exit(_run())
    finally:
        progress.close_all()


def _run() -> int:
    command = typer.main.get_command(app)
    try:
        ended = command.main(prog_name="spfem-data", standalone_mode=False)
    except PartDone as done:
        console.note(str(done))
        return DONE
    except UsageError as error:
        return _misused(error)
    except PipelineError as error:
        return _wrong(str(error))
    except OSError as error:
        if error.errno not in (*_FULL, *_CLOSED):
            raise
        return _wrong(_disk_message(error))
    except typer.Abort:
        ended = STOPPED
    if ended == STOPPED:  # what typer returns for Ctrl-C
        _wrong("stopped; finished work is kept, run the same command to resume")
    return ended if isinstance(ended, int) else DONE


def _wrong(message: str) -> int:
    """Print one line; with --verbose also the traceback."""
    if verbosity.is_verbose() and sys.exc_info()[0] is not None:
        traceback.print_exc()
    console.fail(message)
    return WRONG


def _misused(error: Any) -> int:
    if isinstance(error, typer.BadParameter) or error.message:
        console.fail(message_of(error))
    else:  # a group without a command: typer shows the group's help
        error.show()
    return MISUSED


def _disk_message(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in _FULL:
        return (
            f"no space left on the device{where}; free some and run the same command again "
            "(finished work is kept); spfem-data doctor estimates how much is needed"
        )
    return f"{error.strerror}{where}; fix the permissions, or choose another folder with --data"


def _broken(kind: type[BaseException], error: BaseException, trace: object) -> None:
    """A bug: print the traceback and one line, and exit with its own code."""
    sys.__excepthook__(kind, error, trace)  # type: ignore[arg-type]
    sys.stderr.write(
        "error: this is a bug in spfem-data; please report it with the lines above and the output "
        "of: spfem-data doctor\n"
    )
    raise SystemExit(BROKEN)


if __name__ == "__main__":
    main()
