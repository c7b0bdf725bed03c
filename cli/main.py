"""The application: all commands, and how it ends. Heavy imports stay inside."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli import export, models, overview, pairs, published, stages, training
from pipeline import __version__
from pipeline.errors import PartDone, PipelineError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Make pairs of frames (one speaker, one instant of one sentence, two emotions), "
    "say how far each can be trusted, and pack them into Parquet shards.",
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Show the version."""
    if version:
        typer.echo(f"spfem-data {__version__}")
        raise typer.Exit


stages.register(app)
overview.register(app)
pairs.register(app)
export.register(app)
published.register(app)
training.register(app)
app.add_typer(models.app, name="models")


def main() -> None:
    """Run the command line; a PipelineError is one line and exit 1."""
    try:
        app()
    except PartDone as done:
        typer.echo(str(done))
    except PipelineError as error:
        from cli import console

        console.fail(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo(
            "stopped; what is finished is kept: the same command goes on from there", err=True
        )
        sys.exit(130)


if __name__ == "__main__":
    main()
