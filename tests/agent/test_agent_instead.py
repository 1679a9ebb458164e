"""Where no agent can ship a run, threads of the plugin's process do."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from agent.kit import is_alive, plugin, said, statuses, the_agent, wait_for
from synapse_otel import RuntimeContext, TelemetrySettings
from synapse_otel.agent.assignment import assignment
from synapse_otel.agent.place import AgentPlace, places
from synapse_otel.agent.starting import start
from synapse_otel.testing import Collector

PLUGIN = """
    import logging, sys
    logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
    {before}
    from synapse_otel import RuntimeContext
    with RuntimeContext.open("job-1", "train") as ctx:
        for number in range(100):
            ctx.log_message(f"message {{number}}")
        print("delivered", ctx.flush(30), ctx.report())
"""
MESSAGES = [f"message {number}" for number in range(100)]


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("sys.executable = '/nowhere/python3'", "No such file or directory: '/nowhere/python3'"),
        ("sys.path += ['/x' * 1000] * 40", "expected at most 60000"),
        ("sys.executable = '/usr/sbin/uwsgi'", ""),
        ("sys.frozen = True", ""),
    ],
    ids=["no interpreter", "a configuration that is too large", "another program", "a frozen program"],
)
def test_threads_ship_where_no_agent_can_be_started(collector: Collector, root: Path, before: str, reason: str) -> None:
    """Whatever keeps the process from being started, the run is delivered as ever, and says why it does it itself."""
    out = said(plugin(PLUGIN.format(before=before)))
    assert "delivered True" in out
    assert "threads of this process do" in out if reason else "threads" not in out
    assert reason in out
    assert (collector.messages, statuses(collector, "job-1")) == (MESSAGES, ["completed"])
    assert list(places(root)) == []


def test_threads_ship_where_the_agent_does_not_answer(collector: Collector) -> None:
    """An agent that was stopped holds up nobody for longer than the patience with it."""
    with RuntimeContext.open("job-0") as ctx:
        assert ctx.flush(20)
        agent = the_agent(ctx.logger.journal.run.parent)
        os.kill(agent.pid, signal.SIGSTOP)
        before = "from synapse_otel.agent import shipper; shipper._PATIENCE = 1.0"
        out = said(plugin(PLUGIN.format(before=before)))
        assert "no agent ships the run (the agent does not take the journal): threads of this process do" in out
        assert (collector.messages, statuses(collector, "job-1")) == (MESSAGES, ["completed"])
        os.kill(agent.pid, signal.SIGCONT)
        ctx.log_message("after")
        assert ctx.flush(20)
    assert collector.messages == [*MESSAGES, "after"]


def test_threads_ship_where_agents_end_again_and_again(collector: Collector, tmp_path: Path) -> None:
    """An agent that ends whenever it is started is tried a few times, then the plugin's process ships."""
    before = """
    from pathlib import Path
    from synapse_otel.agent import shipper, starting
    shipper._PATIENCE = 2.0
    starting._MAIN = Path(sys.argv[1])
    """
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit(1)")
    out = said(plugin(PLUGIN.format(before=before), str(broken)))
    assert "no agent ships the run (the agent ends again and again): threads of this process do" in out
    assert (collector.messages, statuses(collector, "job-1")) == (MESSAGES, ["completed"])


def test_threads_go_on_where_the_journal_goes_on_in_memory(collector: Collector) -> None:
    """When the disk is full under a run, the agent gives the journal back, and all arrives, once each."""
    code = """
        import errno, logging, sys
        logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
        from synapse_otel import RuntimeContext
        from synapse_otel.journal.segment import Segment
        with RuntimeContext.open("job-1", "train") as ctx:
            ctx.log_message("on the disk")
            assert ctx.flush(30)
            def full(*arguments):
                raise OSError(errno.ENOSPC, "No space left on device")
            Segment.allocate = full
            for number in range(2000):
                ctx.log_message(f"message {number} " + "x" * 100)
            print("delivered", ctx.flush(30), ctx.report())
    """
    out = said(plugin(code))
    assert "no agent ships the run (the journal is in memory): threads of this process do" in out
    assert "2002 accepted, 2002 delivered" in out
    expected = ["on the disk", *(f"message {number} " + "x" * 100 for number in range(2000))]
    assert (collector.messages, statuses(collector, "job-1")) == (expected, ["completed"])


def test_an_agent_that_is_stopped_for_good_harms_nobody(collector: Collector) -> None:
    """With its agent stopped a run ends in time; when the agent goes on, it is delivered."""
    with RuntimeContext.open("job-0") as ctx:
        assert ctx.flush(20)
        agent = the_agent(ctx.logger.journal.run.parent)
        os.kill(agent.pid, signal.SIGSTOP)
        ctx.log_message("late")
        assert not ctx.flush(0.3)
    assert (collector.messages, ctx.report().pending) == ([], 2)
    os.kill(agent.pid, signal.SIGCONT)
    wait_for(lambda: statuses(collector, "job-0") == ["completed"])
    wait_for(lambda: not is_alive(agent.pid))
    assert (collector.messages, ctx.report().pending) == (["late"], 0)


def test_an_agent_that_cannot_ship_says_why(collector: Collector, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What keeps an agent from its work is said in the log of the runs, and nothing is left of the agent."""
    given = assignment(TelemetrySettings.load())
    given.settings["quota_bytes"] = -1
    place = AgentPlace(root, given.fingerprint())
    with RuntimeContext.open("job-1"):
        lock = place.take()
        assert lock is not None
        start(given, lock).wait(10)
        wait_for(lambda: "the agent cannot ship: " in caplog.text)
    assert "quota_bytes" in caplog.text
    wait_for(lambda: not place.path.exists())
