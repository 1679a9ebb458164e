"""``synapse-otel show --follow``: a run of another process while it runs, until it ends."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from synapse_otel.cli import interrupts
from synapse_otel.cli.errors import FAILED, INTERRUPTED, TERMINATED
from synapse_otel.cli.follow_lines import Lines
from synapse_otel.cli.follow_run import FollowedRun
from synapse_otel.cli.follow_screen import MOST_LINES, Screen
from synapse_otel.cli.show_text import ShowText
from synapse_otel.cli.terminal import Terminal
from synapse_otel.cli.view import RunView
from synapse_otel.projection.redaction import Redactor

POLL_SECONDS = 0.25
"""How often to look for something new: a journal is memory, so nobody is notified of what is written there."""

_MOST_AT_ONCE = 20_000
"""Lines that are kept until they are printed, each once: more than are read in between."""

_DELIVERY_SECONDS = 5.0
"""How long a run that has ended may still be sent before it is told what was delivered."""


def follow(path: Path, terminal: Terminal, redactor: Redactor, most_lines: int | None) -> int:
    """Show the run in a directory until it ends.

    Args:
        path: The run's directory.
        terminal: Where to show it.
        redactor: Takes credentials out of the names of spans.
        most_lines: How many lines of the timeline there are to be at its end, or before it in a pipe; None for all.

    Returns:
        What to exit with: 0 when the run completed, 1 when it did not, 130 after Ctrl-C, 143 after SIGTERM.

    Raises:
        CliError: The run cannot be read.
    """
    kept = None if most_lines is None else MOST_LINES if terminal.is_live else _MOST_AT_ONCE
    with closing(FollowedRun(path, redactor, kept)) as run, interrupts.ending_on_sigterm():
        display = Screen(terminal, run) if terminal.is_live else Lines(terminal, run, most_lines)
        try:
            with display:
                _until_it_ends(run, display)
                run.wait_for_delivery(_DELIVERY_SECONDS)
            view = display.at_the_end(run.view(most_lines))
            ShowText(terminal, time.time_ns(), everything=most_lines is None).print(view)
            return exit_code(view)
        except KeyboardInterrupt as interrupt:
            display.leave()
            return TERMINATED if isinstance(interrupt, interrupts.Terminated) else INTERRUPTED


def exit_code(view: RunView) -> int:
    """Return what a command exits with that has shown a run to its end."""
    return 0 if view.status == "completed" else FAILED


def _until_it_ends(run: FollowedRun, display: Screen | Lines) -> None:
    while True:
        is_all = run.read(display.reading_seconds)
        display.update(is_behind=not is_all)
        if is_all and run.is_over:
            return
        if is_all:
            display.wait(POLL_SECONDS)
