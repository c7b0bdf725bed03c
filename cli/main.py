"""The application: all commands, and how it ends. Heavy imports stay inside."""

from __future__ import annotations

import errno
import sys
import traceback
from typing import Annotated, Any

import typer

from cli import (
    doctor,
    export,
    forget,
    init,
    inspect,
    inventory,
    models,
    pairs,
    plan,
    show_pair,
    stages,
    train_encoder,
    verbosity,
)
from cli.commands import Commands
from cli.usage_errors import UsageError, said_of
from pipeline import __version__
from pipeline.errors import PartDone, PipelineError
from pipeline.runtime import numerics

DONE, WRONG, MISUSED, BROKEN, STOPPED = 0, 1, 2, 3, 130
"""Exit codes, as docs/cli.md tells them."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)

app = Commands(
    pretty_exceptions_enable=False,
    help="Make pairs of frames (one speaker, one instant of one sentence, two emotions), "
    "say how far each can be trusted, and pack them into Parquet shards.",
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Show the version."""
    if version:
        typer.echo(f"spfem-data {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


stages.register(app)
inventory.register(app)
plan.register(app)
doctor.register(app)
init.register(app)
pairs.register(app)
show_pair.register(app)
export.register(app)
inspect.register(app)
train_encoder.register(app)
forget.register(app)
app.add_typer(models.app, name="models")


def main() -> None:
    """Run the command line and end with its exit code; what is wrong is one line."""
    numerics.begin()
    sys.excepthook = _broken
    verbosity.begin()
    try:
        sys.exit(_run())
    finally:
        from cli.progress import close_all

        close_all()


def _run() -> int:
    from cli import console

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
        return _wrong(_of_the_disk(error))
    except typer.Abort:
        ended = STOPPED
    if ended == STOPPED:  # typer makes this of Ctrl-C
        console.fail("stopped; what is finished is kept: the same command goes on from there")
    return ended if isinstance(ended, int) else DONE


def _wrong(message: str) -> int:
    """One line; with --verbose also where the error arose."""
    from cli import console

    if verbosity.is_verbose():
        traceback.print_exc()
    console.fail(message)
    return WRONG


def _misused(error: Any) -> int:
    from cli import console

    if isinstance(error, typer.BadParameter) or error.message:
        console.fail(said_of(error))
    else:  # a group without a command: the error is its help
        error.show()
    return MISUSED


def _of_the_disk(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in _FULL:
        return (
            f"no space left on the device{where}; free some and run the same command again: what "
            "is finished is kept; spfem-data doctor tells how much is needed"
        )
    return f"{error.strerror}{where}; mend the permissions, or choose another folder by --data"


def _broken(kind: type[BaseException], error: BaseException, trace: object) -> None:
    """What nobody foresaw: the traceback, one line, and an exit code of its own."""
    sys.__excepthook__(kind, error, trace)  # type: ignore[arg-type]
    sys.stderr.write(
        "error: this is a fault of spfem-data itself; please report it with the lines above and "
        "the output of: spfem-data doctor\n"
    )
    raise SystemExit(BROKEN)


if __name__ == "__main__":
    main()
