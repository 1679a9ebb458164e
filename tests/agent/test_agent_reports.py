"""What a run learns of its delivery when an agent does it, and what the agent leaves to others."""

from __future__ import annotations

import errno
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from agent.kit import plugin, statuses, the_agent, wait_for
from synapse_otel import OTelLogger, RuntimeContext, TelemetrySettings
from synapse_otel.agent.state import agents
from synapse_otel.journal.directory import JournalPath, journals
from synapse_otel.testing import Collector, Refuse, Status

LEAVE = """
    import os, sys
    from synapse_otel import RuntimeContext
    ctx = RuntimeContext.open(sys.argv[1], "train")
    ctx.log_message("left")
    os._exit(1)
"""


def push(*arguments: str) -> str:
    """What `synapse-otel push` prints."""
    command = [Path(sys.executable).with_name("synapse-otel"), "push", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


def test_what_does_not_work_is_said_in_the_run_s_log(
    collector: Collector, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """That the collector does not take anything is said once by the run's process, and that it does again."""
    with RuntimeContext.open("job-1") as ctx:
        with collector.failing(Status(503)):
            ctx.log_message("one")
            wait_for(lambda: "HTTP 503" in caplog.text)
            wait_for(lambda: "HTTP 503" in str(the_agent(root).problems))
        assert ctx.flush(20)
        wait_for(lambda: the_agent(root).problems == [])
    wait_for(lambda: "works again" in caplog.text)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_refused_records_are_counted_and_said(
    collector: Collector, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A record that the collector refuses is a dead letter in the report, and said in the run's log."""
    collector.fail(Refuse(lambda item: getattr(item, "body", None) == "poison"))
    with RuntimeContext.open("job-1") as ctx:
        for text in ("good", "poison", "fine"):
            ctx.log_message(text)
        assert ctx.flush(20)
    report = ctx.report()
    assert (report.accepted, report.delivered, report.dead_lettered, report.pending) == (5, 4, 1, 0)
    wait_for(lambda: "a refused record (message) is kept as a dead letter" in caplog.text)
    assert collector.messages == ["good", "fine"]


def test_report_is_true_after_the_journal_was_removed(collector: Collector, root: Path) -> None:
    """A run that ended before it was delivered reports it as pending, then as delivered."""
    settings = TelemetrySettings(finish_timeout=0)
    collector.fail(Status(503))
    logger = OTelLogger("job-1", settings=settings)
    logger.log_message("hello")
    logger.finish()
    assert logger.report().pending == 3
    collector.heal()
    wait_for(lambda: not list(journals(root)))
    assert (logger.report().delivered, logger.report().pending) == (3, 0)


def test_push_can_have_what_the_agent_cannot_deliver(
    collector: Collector, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead run that waits for a collector is not held: with another endpoint, `push` sends it."""
    collector.fail(Status(401))
    with RuntimeContext.open("job-0") as ctx:
        subprocess_of_run = plugin(LEAVE, "job-1")
        subprocess_of_run.communicate()
        wait_for(lambda: the_agent(root).left == 1)
        wait_for(lambda: the_agent(root).left == 0)
        with Collector() as other:
            for name, value in other.env().items():
                monkeypatch.setenv(name, value)
            assert "3 records of 1 run sent" in push("job-1")
            assert (other.messages, statuses(other, "job-1")) == (["left"], ["crashed"])
        collector.heal()
        assert ctx.flush(40)


def test_journals_of_a_newer_version_are_not_touched(
    collector: Collector, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a newer version of this package wrote stays byte for byte as it is, while the agent ships others."""
    with monkeypatch.context() as patch:
        patch.setenv("SYNAPSE_OTEL_SHIPPER", "off")
        plugin(LEAVE, "job-newer").communicate()
    (journal,) = journals(root)
    segment = journal.segment(1)
    segment.write_bytes(of_newer_version(segment.read_bytes()))
    before = contents(journal)
    with RuntimeContext.open("job-1") as ctx:
        assert ctx.flush(20)
        wait_for(lambda: "upgrade synapse-otel to read it" in str(the_agent(root).problems))
    wait_for(lambda: not agents(root))
    assert contents(journal) == before
    assert collector.messages == []


def of_newer_version(segment: bytes) -> bytes:
    """A segment as the next version of the format might begin it."""
    magic, version, flags, size = struct.unpack_from("<8sHHI", segment)
    prefix = struct.pack("<8sHHI", magic, version + 1, flags, size)
    body = segment[20 : 20 + size]
    return prefix + struct.pack("<I", zlib.crc32(prefix + body)) + segment[20:]


def contents(journal: JournalPath) -> dict[str, bytes]:
    """The files of a journal, without its locks, which are empty."""
    return {path.name: path.read_bytes() for path in journal.path.iterdir() if path.name not in {"lock", "ship.lock"}}


def test_what_is_lost_with_the_memory_is_reported_where_no_thread_took_over(collector: Collector, root: Path) -> None:
    """A journal that went to memory just before the run ended, while the endpoint is away, tells what went with it."""
    collector.stop()
    ctx = RuntimeContext.open("job-1", settings=TelemetrySettings(finish_timeout=0.0))
    for number in range(3):
        ctx.log_message(f"on the disk {number}")
    journal = ctx.logger._journal
    with journal._lock:
        journal._degrade(journal._segment, OSError(errno.ENOSPC, "a full disk"))
    for number in range(5):
        ctx.log_message(f"in memory {number}")
    ctx.logger.finish()
    messages = ctx.report().by_kind["message"]
    assert (messages.accepted, messages.pending, messages.dropped) == (8, 3, 5)
    wait_for(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("synapse-otel")])
