"""``synapse-otel report``: one run as a web page in one file, from the journals on this machine."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Annotated

import typer

from synapse_otel.cli.arguments import OneRun
from synapse_otel.cli.errors import FAILED, CliError
from synapse_otel.journal.locks import replace_file


def report(
    wanted: OneRun = None,
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

    The file needs nothing else and asks no network for anything; only its owner can read it, as with the run itself.
    The run may be running, and it may have crashed.
    """
    from synapse_otel.cli import find, units
    from synapse_otel.cli.configuration import load_redactor, load_settings
    from synapse_otel.cli.older import name_older
    from synapse_otel.cli.terminal import Terminal
    from synapse_otel.cli.view_loader import load_view
    from synapse_otel.journal.directory import run_name

    try:
        from synapse_otel.cli.html.page import page
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"jinja2", "markupsafe", "plotly"}:
            raise
        needed = "pip install 'synapse-otel[report]'"
        raise CliError(
            f"the report is made with Jinja2 and Plotly, which are not installed ({error}): {needed}"
        ) from None

    settings = load_settings()
    redactor = load_redactor(settings)
    terminal = Terminal(redactor)
    run, older = find.one(settings.journal_dir, wanted)
    view = load_view(run, redactor)
    path = output or Path(f"{run_name(redactor.text(view.job_id), bytes.fromhex(view.trace_id))}.html")
    content = page(view, redactor, time.time_ns()).encode()
    try:
        _write(path, content)
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}", FAILED) from error
    terminal.line(f"{path}  {units.size(len(content))}")
    name_older(terminal, older, "report")


def _write(path: Path, content: bytes) -> None:
    """Write a file for its owner only, as a whole; a pipe or a device is written to, and a link stays one."""
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    target = Path(os.path.realpath(path))
    replace_file(target.with_name(f".{secrets.token_hex(8)}.tmp"), target, content)
