"""``synapse-otel report``: one run as a web page in one file, from the journals on this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer


def report(
    wanted: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="A job id or the beginning of one, a run's directory name or its trace id; by default the latest run.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write it; by default RUN.html in the current folder. What is there is replaced.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a run as one HTML file: waterfall, progress, charts of its metrics, messages to search.

    The file needs nothing else and asks no network for anything. The run may be running, and it may have crashed.
    """
    from synapse_otel.cli import find, units
    from synapse_otel.cli.configuration import load_redactor, load_settings
    from synapse_otel.cli.errors import FAILED, CliError
    from synapse_otel.cli.terminal import Terminal
    from synapse_otel.cli.view_loader import load_view

    try:
        from synapse_otel.cli.html.page import page
    except ImportError as error:
        needed = "pip install 'synapse-otel[report]'"
        raise CliError(
            f"the report is made with Jinja2 and Plotly, which are not installed ({error}): {needed}"
        ) from None

    settings = load_settings()
    redactor = load_redactor(settings)
    run, _ = find.one(settings.journal_dir, wanted)
    path = output or Path(f"{run.name}.html")
    content = page(load_view(run, redactor), redactor, time.time_ns()).encode()
    try:
        path.write_bytes(content)
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}", FAILED) from error
    Terminal(redactor).line(f"{path}  {units.size(len(content))}")
