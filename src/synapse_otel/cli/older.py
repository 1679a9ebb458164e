"""What a command says that takes the latest of several runs of a job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synapse_otel.cli.terminal import Terminal

_MOST_NAMED = 5


def name_older(terminal: Terminal, older: Sequence[Path], command: str) -> None:
    """Say on standard error which older runs there are, and the `command` for each of them."""
    names = "".join(f"\n  synapse-otel {command} {terminal.clean(run.name)}" for run in older[:_MOST_NAMED])
    if older:
        terminal.note(f"{len(older)} older runs of this job:{names}" if len(older) > 1 else f"an older run:{names}")
