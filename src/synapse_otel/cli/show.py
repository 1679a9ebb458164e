"""``synapse-otel show``: one run, from the journals on this machine."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from synapse_otel.cli.arguments import OneRun
from synapse_otel.cli.errors import CliError

LINES = 50


def show(
    wanted: OneRun = None,
    everything: Annotated[
        bool, typer.Option("--all", help=f"Show the whole timeline and all spans, not only the last {LINES} lines.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document with every sample.")] = False,
    following: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Show the run live until it ends; without RUN the latest one that is running."
        ),
    ] = False,
) -> None:
    """Show a run: waterfall, progress, metrics, messages, delivery.

    It may be running, in another process too; it may have crashed. With --follow, Ctrl-C leaves the view and not the
    run; elsewhere than on a terminal, there is a line for everything new. It ends with the run, then exits with 0 when
    that completed, 1 when it failed, crashed or was cancelled, 130 after Ctrl-C.
    """
    from synapse_otel.cli import find, show_json
    from synapse_otel.cli.configuration import load_redactor, load_settings
    from synapse_otel.cli.follow import exit_code, follow
    from synapse_otel.cli.older import name_older
    from synapse_otel.cli.show_text import ShowText
    from synapse_otel.cli.terminal import Terminal
    from synapse_otel.cli.view_loader import load_view

    if following and as_json:
        raise CliError("--follow shows a run as it goes on, --json prints a document of it as it is: one of them")
    settings = load_settings()
    redactor = load_redactor(settings)
    terminal = Terminal(redactor)
    run, older = find.one(settings.journal_dir, wanted, prefer_running=following)
    most_lines = None if everything or as_json else LINES
    if following and find.is_running(run):
        raise typer.Exit(follow(run, terminal, redactor, most_lines))
    view = load_view(run, redactor, most_lines)
    if as_json:
        typer.echo(show_json.document(view, redactor))
        return
    ShowText(terminal, time.time_ns(), everything).print(view)
    name_older(terminal, older, "show")
    if following:
        terminal.note("it is not running: there is nothing to follow")
        raise typer.Exit(exit_code(view))
