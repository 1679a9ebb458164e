"""Reads the journals of a run, whoever writes them, into a `RunView`."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from synapse_otel.cli import units
from synapse_otel.cli.delivery_state import cursors, state, total
from synapse_otel.cli.errors import FAILED, CliError
from synapse_otel.cli.view import RunView
from synapse_otel.cli.view_builder import JournalFacts, JournalFold, run_view
from synapse_otel.cli.view_tail import JournalTail
from synapse_otel.journal.directory import JournalPath, journals_of
from synapse_otel.journal.format import JournalError
from synapse_otel.projection.redaction import Redactor


def load_view(run: Path, redactor: Redactor, most_lines: int | None = None) -> RunView:
    """Return the run whose journals are in `run`.

    Args:
        run: The run's directory.
        redactor: Takes credentials out of the names of spans.
        most_lines: How many lines of the timeline to keep, the last ones; None for all.

    Raises:
        CliError: None of the journals can be read.
    """
    folds, problems = [], []
    for path in journals_of(run):
        try:
            folds.append(_fold(path, redactor, most_lines))
        except (JournalError, OSError) as error:
            problems.append(problem(run, error))
    if not folds:
        raise unreadable(run, problems)
    return run_view(folds, most_lines, problems)


def problem(run: Path, error: Exception) -> str:
    """Return why a journal of a run cannot be read."""
    return str(error).replace(f"{run}{os.sep}", "")


def unreadable(run: Path, problems: list[str]) -> CliError:
    """Return what to say of a run of which nothing can be read."""
    left = [state(cursors(path), 0) for path in journals_of(run) if not path.segments()]
    if refused := total(left).dead_letters:
        found = (
            f"{units.count(refused, 'record')} that the collector refused: synapse-otel push --dead-letters {run.name}"
        )
        return CliError(f"{run.name} was delivered and removed, but for {found}", FAILED)
    reasons = "".join(f"\n  {problem}" for problem in problems) or " it has no journal"
    return CliError(f"{run.name} cannot be read:{reasons}", FAILED)


def _fold(path: JournalPath, redactor: Redactor, most_lines: int | None) -> tuple[JournalFold, JournalFacts]:
    with closing(JournalTail(path, redactor, most_lines)) as tail:
        while tail.read():
            pass
        return tail.fold, tail.facts()
