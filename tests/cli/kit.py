"""The results of commands, and runs on the disk, written record by record with times that are known."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from synapse_otel.journal import records as rec
from synapse_otel.journal.directory import JournalPath, journals, journals_of
from synapse_otel.journal.locks import is_locked
from synapse_otel.journal.writer import Journal

START = 1_750_000_000_000_000_000
"""2025-06-15 15:06:40 UTC."""

SECOND = 1_000_000_000


@dataclass(frozen=True)
class Result:
    """What a command printed, and what it exited with."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]


def program() -> str:
    """Return the installed command."""
    return str(Path(sys.executable).with_name("synapse-otel"))


def identity(
    job: str = "job-1", *, name: str = "train", started: int = START, number: int = 1, **more: object
) -> rec.Identity:
    values: dict[str, object] = {
        "journal_id": f"{number:032x}",
        "job_id": job,
        "name": name,
        "trace_id": bytes([number]) * 16,
        "span_id": bytes([number]) * 8,
        "parent_span_id": b"",
        "started": started,
        "resource": {"process.pid": 100 + number, "host.name": "box"},
    }
    return rec.Identity(**{**values, **more})  # type: ignore[arg-type]  # values by name


def write_journal(root: Path, who: rec.Identity, *records: rec.Record) -> JournalPath:
    """Write a journal that nobody holds; it crashed unless the records end it."""
    journal = Journal(root, who)
    for record in (rec.RunStarted(who.started), *records):
        journal.append(record)
    journal.close()
    assert journal.path is not None
    return journal.path


def a_run(root: Path, job: str = "job-1", *, status: str = "completed", number: int = 1, started: int = START) -> Path:
    """Write a small run of ten seconds; return its directory."""
    ended = () if status == "crashed" else (rec.RunEnded(started + 10 * SECOND, status),)
    path = write_journal(
        root,
        identity(job, number=number, started=started),
        rec.Progress(started + SECOND, b"", b"", "train", 1, 2),
        rec.Message(started + 2 * SECOND, b"", b"", "half way", "info"),
        *ended,
    )
    return path.run


def wait_until_nobody_ships(root: Path) -> None:
    """Wait until an agent has let go of what it has delivered."""
    until = time.monotonic() + 20
    while any(is_locked(path.shipping_lock) for path in journals(root)):
        assert time.monotonic() < until
        time.sleep(0.01)


def only_journal(run: Path) -> JournalPath:
    (found,) = journals_of(run)
    return found
