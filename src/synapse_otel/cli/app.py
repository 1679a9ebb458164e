"""The commands and what they have in common: the exit codes, and no traceback of ours for a person's mistake."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from synapse_otel.cli.doctor import doctor
from synapse_otel.cli.down import down
from synapse_otel.cli.errors import FAILED, INTERRUPTED, USAGE, CliError
from synapse_otel.cli.push import push
from synapse_otel.cli.report import report
from synapse_otel.cli.run import run
from synapse_otel.cli.runs import runs
from synapse_otel.cli.show import show
from synapse_otel.cli.terminal import Terminal
from synapse_otel.cli.up import up

_HELP = """Runs actions, shows runs, and sends what they recorded.

Every run is kept in the journal directory until it was delivered; without a collector, it stays there to be shown.
"""

app = typer.Typer(
    name="synapse-otel",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"synapse-otel {version('synapse-otel')}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[  # its callback prints it
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


for command in (run, runs, show, report, push, doctor, up, down):
    app.command()(command)


def invoke(arguments: Sequence[str] | None) -> int:
    """Execute a command and return what the process exits with."""
    try:
        return _run(arguments)
    except CliError as error:
        Terminal().error(str(error))
        return error.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _hang_up()


def _run(arguments: Sequence[str] | None) -> int:
    try:
        app(args=None if arguments is None else list(arguments), prog_name="synapse-otel")
    except SystemExit as exit_:
        if isinstance(exit_.__context__, BrokenPipeError):  # rich's answer to a pipe that nobody reads
            return _hang_up()
        code = exit_.code
        return code if isinstance(code, int) else 0 if code is None else USAGE
    return 0


def _hang_up() -> int:
    """Nobody reads what is printed: end in silence, also when the interpreter flushes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
