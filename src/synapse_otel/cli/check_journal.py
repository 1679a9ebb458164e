"""The doctor looks at the journal directory."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from synapse_otel.cli import units
from synapse_otel.cli.delivery_state import cursors
from synapse_otel.cli.findings import Findings
from synapse_otel.cli.glance import RunGlance, glance
from synapse_otel.export.delivery import oldest_pending
from synapse_otel.export.settings import TelemetrySettings
from synapse_otel.journal.directory import journals, journals_of, runs
from synapse_otel.journal.reader import JournalReader

_NEARLY = 0.9
_SEGMENTS = 16 * 1024 * 1024
"""Bytes that a run takes at once: the segment that it writes, and the next one."""

_MOMENT = 60 * units.SECOND
"""How long a record of a run that goes on may wait before that is said."""

_LOSSES = (
    (
        "refused",
        "dead_letters",
        "Why, is in dead-letters.jsonl in the run's folder. When that is mended: synapse-otel push --dead-letters",
    ),
    ("dropped", "dropped", "There was no room for them, or they were damaged: raise SYNAPSE_OTEL_QUOTA_BYTES."),
)
"""What is called how where records were lost, and what to do."""


def check_journal(settings: TelemetrySettings, findings: Findings) -> None:
    """Say where runs are kept, whether that works, and what is there."""
    root = settings.journal_dir
    findings.section("Journal", str(root))
    if (problem := _unwritable(root)) is not None:
        findings.bad("directory", problem, "Set SYNAPSE_OTEL_JOURNAL_DIR to a directory that you can write.")
        return
    findings.good("directory", "can be written")
    _check_space(root, settings, findings)
    _check_runs([glance(run) for run in runs(root)], findings)


def _unwritable(root: Path) -> str | None:
    """Return why a run could not be written, None where it can; nothing is left behind."""
    existing = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    if not existing.is_dir():
        return f"{existing} is no directory"
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"synapse-otel doctor")
            file.flush()
    except OSError as error:
        return f"{existing} cannot be written: {error.strerror or error}"
    return None


def _check_space(root: Path, settings: TelemetrySettings, findings: Findings) -> None:
    used, quota = sum(journal.size() for journal in journals(root)), settings.quota_bytes
    text = f"{units.size(used)} of {units.size(quota)} (SYNAPSE_OTEL_QUOTA_BYTES)"
    if used > quota * _NEARLY:
        findings.warn("size", text, "When it is full, the oldest delivered runs go first, then dev events.")
    else:
        findings.good("size", text)
    existing = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < _SEGMENTS:
        findings.warn("disk", f"only {units.size(free)} are free", "Without space, records are kept in memory only.")


def _check_runs(found: list[RunGlance], findings: Findings) -> None:
    ended = [one for one in found if one.first.status != "running"]
    kept = [one for one in ended if not one.delivery.begun and one.records]
    parts = [units.count(len(found), "run")]
    parts += [f"{len(found) - len(ended)} running"] if len(ended) < len(found) else []
    parts += [f"{len(kept)} never sent"] if kept else []
    findings.good("runs", ", ".join(parts))
    _check_pending(found, findings)
    for name, what, hint in _LOSSES:
        _check_lost([(one, getattr(one.delivery, what)) for one in found], name, hint, findings)
    for one in found:
        for problem in one.problems:
            findings.warn("unreadable", f"{one.path.name}: {problem}")


def _check_pending(found: list[RunGlance], findings: Findings) -> None:
    """Tell what waits, unless its run goes on and it waits for a moment."""
    now = time.time_ns()
    since = {one.path: _oldest(one.path) or now for one in found if one.delivery.begun and one.delivery.pending}
    waiting = [
        one for one in found if one.path in since and (one.first.status != "running" or now - since[one.path] > _MOMENT)
    ]
    if waiting:
        records = units.count(sum(one.delivery.pending for one in waiting), "record")
        oldest = units.between(min(since[one.path] for one in waiting), now)
        findings.warn(
            "pending",
            f"{records} of {units.count(len(waiting), 'run')} not delivered, the oldest one for {oldest}",
            "The run itself or the next one sends them, or: synapse-otel push",
        )


def _oldest(run: Path) -> int:
    """Return the time of the oldest record of a run that was to be sent and was not; 0 where there is none."""
    begun = ((path, cursors(path)) for path in journals_of(run))
    times = (oldest_pending(JournalReader(path), saved) for path, saved in begun if saved)
    return min(filter(None, times), default=0)


def _check_lost(counted: list[tuple[RunGlance, int]], name: str, hint: str, findings: Findings) -> None:
    if records := sum(count for _, count in counted):
        runs = sum(1 for _, count in counted if count)
        findings.warn(name, f"{units.count(records, 'record')} of {units.count(runs, 'run')}", hint)
