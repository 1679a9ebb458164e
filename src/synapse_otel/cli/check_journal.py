"""The doctor looks at the journal directory."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from synapse_otel.cli import units
from synapse_otel.cli.findings import Findings
from synapse_otel.cli.glance import RunGlance, glance
from synapse_otel.export.settings import TelemetrySettings
from synapse_otel.journal.directory import journals, runs

_NEARLY = 0.9
_SEGMENTS = 16 * 1024 * 1024
"""Bytes that a run takes at once: the segment that it writes, and the next one."""


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
    pending = [one for one in ended if one.delivery.begun and one.delivery.pending]
    parts = [units.count(len(found), "run")]
    parts += [f"{len(found) - len(ended)} running"] if len(ended) < len(found) else []
    parts += [f"{len(kept)} never sent"] if kept else []
    findings.good("runs", ", ".join(parts))
    if pending:
        records = sum(one.delivery.pending for one in pending)
        findings.warn(
            "pending",
            f"{units.count(records, 'record')} of {units.count(len(pending), 'run')} are not delivered",
            "The next run sends them, or: synapse-otel push",
        )
    for one in found:
        for problem in one.problems:
            findings.warn("unreadable", f"{one.path.name}: {problem}")
