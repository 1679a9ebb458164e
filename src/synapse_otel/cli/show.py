"""``synapse-otel show``: one run, from the journals on this machine."""

from __future__ import annotations

import time
from typing import Annotated

import typer

LINES = 50


def show(
    wanted: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="A job id or the beginning of one, a run's directory name or its trace id; by default the latest run.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help=f"Show the whole timeline and all spans, not only the last {LINES} lines.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document with every sample.")] = False,
) -> None:
    """Show a run: waterfall, progress, metrics, messages, delivery.

    It may be running, in another process too; it may have crashed.
    """
    from synapse_otel.cli import find, show_json
    from synapse_otel.cli.configuration import load_redactor, load_settings
    from synapse_otel.cli.show_text import ShowText
    from synapse_otel.cli.terminal import Terminal
    from synapse_otel.cli.view_loader import load_view

    settings = load_settings()
    redactor = load_redactor(settings)
    terminal = Terminal(redactor)
    run, older = find.one(settings.journal_dir, wanted)
    view = load_view(run, redactor, None if everything or as_json else LINES)
    if as_json:
        typer.echo(show_json.document(view, redactor))
        return
    ShowText(terminal, time.time_ns(), everything).print(view)
    if older:
        names = "".join(f"\n  synapse-otel show {terminal.clean(other.name)}" for other in older[:5])
        terminal.note(f"{len(older)} older runs of this job:{names}" if len(older) > 1 else f"an older run:{names}")
