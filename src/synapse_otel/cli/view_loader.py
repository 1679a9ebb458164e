"""Reads the journals of a run, whoever writes them, into a `RunView`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from synapse_otel.cli.delivery_state import cursors
from synapse_otel.cli.errors import FAILED, CliError
from synapse_otel.cli.view import RunView
from synapse_otel.cli.view_builder import JournalFacts, JournalFold, run_view
from synapse_otel.export.delivery import saved_report
from synapse_otel.journal.directory import JournalPath, journals_of
from synapse_otel.journal.format import JournalError
from synapse_otel.journal.reader import START, JournalReader
from synapse_otel.models import Counts, DeliveryReport
from synapse_otel.projection.redaction import Redactor
from synapse_otel.projection.resource import Origin


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
            problems.append(str(error).replace(f"{run}{os.sep}", ""))
    if not folds:
        reasons = "".join(f"\n  {problem}" for problem in problems) or " it has no journal"
        raise CliError(f"{run.name} cannot be read:{reasons}", FAILED)
    return run_view(folds, most_lines, problems)


def _fold(path: JournalPath, redactor: Redactor, most_lines: int | None) -> tuple[JournalFold, JournalFacts]:
    live = path.is_live()  # asked before it is read: a run that ends meanwhile is seen to have ended
    reader = JournalReader(path)
    fold = JournalFold(Origin(reader.identity(), version("synapse-otel"), redactor), most_lines)
    position, missing, removed = START, 0, None
    while (batch := reader.read(position)).entries or batch.missing:
        for entry in batch.entries:
            removed = entry.seq if removed is None else removed
            fold.take(entry.record, entry.seq)
        missing += batch.missing
        position = batch.after
    removed, saved = removed or 0, cursors(path)
    report = saved_report(reader, path) if saved else _all_pending(fold.counts)
    return fold, JournalFacts(live, bool(saved), report, missing - removed, removed)


def _all_pending(counts: Mapping[str, int]) -> DeliveryReport:
    return DeliveryReport({kind: Counts(accepted=count, pending=count) for kind, count in counts.items() if count})
