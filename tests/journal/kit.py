"""What the tests of the journal share: identities, messages, and other processes that run a piece of code."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable
from pathlib import Path

from hypothesis import HealthCheck, settings

from synapse_otel.journal.directory import JournalPath, create_journal, journals, new_journal_id
from synapse_otel.journal.locks import FileLock, is_locked
from synapse_otel.journal.quota import Quota, enforce
from synapse_otel.journal.reader import START, Batch, Entry, JournalReader
from synapse_otel.journal.records import DevEvent, Identity, Message, Record
from synapse_otel.journal.recovery import close_crashed
from synapse_otel.journal.writer import Journal

__all__ = [
    "SMALL",
    "START",
    "FileLock",
    "JournalReader",
    "Quota",
    "T",
    "close_crashed",
    "create_journal",
    "dev_event",
    "enforce",
    "entries",
    "exhaustive",
    "identity",
    "is_locked",
    "journals",
    "message",
    "new_journal_id",
    "only",
    "open_journal",
    "read_all",
    "read_texts",
    "run",
    "start",
    "texts",
    "wait_until",
    "written",
]

T = 1_700_000_000_000_000_000
SMALL = 4096
HERE = Path(__file__).parent

exhaustive = settings(
    derandomize=True,
    max_examples=300,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def identity(journal_id: str | None = None, job_id: str = "job-1", **more: object) -> Identity:
    fields: dict[str, object] = {
        "name": "train",
        "trace_id": b"t" * 16,
        "span_id": b"s" * 8,
        "parent_span_id": b"",
        "started": T,
        "resource": {"service.name": "plugin"},
    }
    return Identity(journal_id=journal_id or new_journal_id(), job_id=job_id, **{**fields, **more})  # type: ignore[arg-type]  # values by name


def message(text: object, t: int = T) -> Message:
    return Message(t, b"12345678", b"", str(text), "info")


def dev_event(text: object, t: int = T) -> DevEvent:
    return DevEvent(t, b"12345678", b"", str(text))


def open_journal(root: Path, **options: object) -> Journal:
    return Journal(root, options.pop("identity", None) or identity(), **options)  # type: ignore[arg-type]  # values by name


def written(root: Path, records: Iterable[Record], **options: object) -> JournalPath:
    """Write and close a journal of `records`."""
    journal = open_journal(root, **options)
    for record in records:
        journal.append(record)
    journal.close()
    assert journal.path
    return journal.path


def entries(path: JournalPath) -> list[Entry]:
    return list(JournalReader(path))


def texts(found: Iterable[Entry | Record]) -> list[str]:
    records = [one.record if isinstance(one, Entry) else one for one in found]
    return [record.text for record in records if isinstance(record, Message | DevEvent)]


def read_texts(path: JournalPath) -> list[str]:
    return texts(entries(path))


def read_all(path: JournalPath) -> Batch:
    """Read everything in one batch, which counts what is missing."""
    return JournalReader(path).read(START, 10**9, 2**62)


def only(root: Path) -> JournalPath:
    (path,) = journals(root)
    return path


def start(code: str, *arguments: object, before: list[str] | None = None, **options: object) -> subprocess.Popen[str]:
    """Run `code` in another Python; `kit` is imported, `arguments` are in ``sys.argv``."""
    prelude = "import os, signal, sys, threading, time\nfrom pathlib import Path\nfrom journal.kit import *\n"
    return subprocess.Popen(
        [*(before or []), sys.executable, "-c", prelude + textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])},
        **options,  # type: ignore[call-overload]  # as `Popen` takes them
    )


def run(code: str, *arguments: object, **options: object) -> str:
    """Run `code` in another Python to its end; return what it printed."""
    with start(code, *arguments, **options) as process:
        try:
            output, _ = process.communicate(timeout=30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with the children that it forked
    assert process.returncode == 0, (process.returncode, output)
    return output


def wait_until(condition: object, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]  # not None here
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.002)
