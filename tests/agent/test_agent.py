"""An agent from its start to its end: who starts it, what it ships, when it goes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from agent.kit import is_alive, plugin, said, statuses, the_agent, wait_for
from synapse_otel import OTelLogger, RuntimeContext
from synapse_otel.agent.place import places
from synapse_otel.agent.state import agents
from synapse_otel.journal.directory import journals
from synapse_otel.testing import Collector

RUN = """
    import sys
    from synapse_otel import RuntimeContext
    with RuntimeContext.open(sys.argv[1], "train") as ctx:
        for number in range(100):
            ctx.log_message(f"{sys.argv[1]} {number}")
        assert ctx.flush(30)
"""

FOREVER = """
    import sys, time
    from synapse_otel import RuntimeContext
    ctx = RuntimeContext.open(sys.argv[1], "train")
    ctx.log_message("begun")
    print("begun", flush=True)
    while True:
        time.sleep(0.01)
        ctx.log_message("at work")
"""


def begun(job_id: str) -> subprocess.Popen[str]:
    """A run that has begun and logs until it is killed."""
    process = plugin(FOREVER, job_id)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def test_a_run_is_delivered_as_it_is_by_threads(collector: Collector, root: Path) -> None:
    """Flush, report and the end of a run mean the same as where threads ship, and nothing is left of it."""
    with RuntimeContext.open("job-1", "train") as ctx:
        ctx.set_progress(1, 2, "steps")
        ctx.set_metrics({"loss": 0.5}, "training")
        ctx.log("event", {"a": 1})
        ctx.log_dev_event("dev")
        ctx.log_message("done")
        assert ctx.flush(20)
        assert (collector.messages, ctx.report().pending) == (["done"], 0)
    report = ctx.report()
    assert (report.accepted, report.delivered) == (7, 7)
    assert statuses(collector, "job-1") == ["completed"]
    wait_for(lambda: not list(journals(root)))


def test_runs_that_start_at_the_same_moment_get_one_agent(
    collector: Collector, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight processes that start together are shipped by one agent, all of their messages once."""
    monkeypatch.setenv("SYNAPSE_OTEL_AGENT_IDLE", "20")  # however far apart a busy machine starts them
    processes = [plugin(RUN, f"job-{number}") for number in range(8)]
    seen: set[int] = set()
    while any(process.poll() is None for process in processes):
        seen |= {agent.pid for agent in agents(root)}
    for process in processes:
        said(process)
    assert len(seen) == 1
    expected = [f"job-{number} {message}" for number in range(8) for message in range(100)]
    assert Counter(collector.messages) == Counter(expected)


def test_an_idle_agent_ends_and_removes_its_files(collector: Collector, root: Path) -> None:
    """When there is nothing to do for the set time, the process and its directory are gone."""
    with RuntimeContext.open("job-1") as ctx:
        assert ctx.flush(20)
        agent = the_agent(root)
    wait_for(lambda: not is_alive(agent.pid))
    assert [path.name for path in root.iterdir()] == [".swept"]


def test_an_agent_is_no_child_of_the_plugin(collector: Collector, root: Path) -> None:
    """A plugin that waits for its children does not see the agent, nor does a signal to its process group reach it."""
    with RuntimeContext.open("job-1") as ctx:
        assert ctx.flush(20)
        agent = the_agent(root)
        with pytest.raises(ChildProcessError):
            os.wait()
        assert os.getpgid(agent.pid) not in {os.getpgid(0), 0}
        assert os.getsid(agent.pid) != os.getsid(0)


def test_a_killed_run_is_closed_and_delivered_without_anyone_s_doing(collector: Collector) -> None:
    """Within five seconds after SIGKILL the run is there as crashed, though nothing else was started."""
    process = begun("job-1")
    process.kill()
    process.communicate()
    assert wait_for(lambda: statuses(collector, "job-1") == ["crashed"]) < 5


def test_an_agent_that_dies_is_replaced(collector: Collector, root: Path) -> None:
    """A run whose agent is killed goes on with another one, and every message arrives, none under two ids."""
    with RuntimeContext.open("job-1") as ctx:
        for number in range(2):
            ctx.log_message(f"before {number}")
            assert ctx.flush(20)
            agent = the_agent(root)
            os.kill(agent.pid, signal.SIGKILL)
            ctx.log_message(f"after {number}")
            assert ctx.flush(20)
            assert the_agent(root).pid != agent.pid
    uids = {record.attributes["log.record.uid"]: record.body for record in collector.logs}
    messages = [body for body in uids.values() if body in set(collector.messages)]
    assert Counter(messages) == Counter(f"{when} {number}" for when in ("before", "after") for number in range(2))


def test_an_agent_ends_in_order_when_it_is_told_to(collector: Collector, root: Path) -> None:
    """SIGTERM ends the agent and leaves nothing of it; the run gets another one."""
    with RuntimeContext.open("job-1") as ctx:
        assert ctx.flush(20)
        agent = the_agent(root)
        os.kill(agent.pid, signal.SIGTERM)
        wait_for(lambda: not is_alive(agent.pid))
        ctx.log_message("later")
        assert ctx.flush(20)
    assert collector.messages == ["later"]


def test_an_agent_ends_when_the_journal_directory_is_gone(collector: Collector, root: Path) -> None:
    """An agent whose files were removed has nothing to live for."""
    logger = OTelLogger("job-1")
    assert logger.flush(20)
    agent = the_agent(root)
    for place in places(root):
        place.clear()
    wait_for(lambda: not is_alive(agent.pid))
    logger.finish()


def test_another_configuration_has_another_agent(
    collector: Collector, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs with different endpoints in one journal directory have two agents, and each arrives at its own."""
    with Collector() as other, RuntimeContext.open("job-1") as first:
        for name, value in other.env().items():
            monkeypatch.setenv(name, value)
        with RuntimeContext.open("job-2") as second:
            first.log_message("one")
            second.log_message("two")
            assert first.flush(20)
            assert second.flush(20)
            assert len({agent.pid for agent in agents(root)}) == 2
            assert (collector.messages, other.messages) == (["one"], ["two"])


def test_nothing_is_sent_where_shipping_is_off(
    collector: Collector, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `off` the run records into the journal, which is kept, and neither an agent nor a request is made."""
    monkeypatch.setenv("SYNAPSE_OTEL_SHIPPER", "off")
    with RuntimeContext.open("job-1") as ctx:
        ctx.log_message("kept")
        assert not ctx.flush(0.1)
    assert (ctx.report().pending, collector.requests, list(places(root))) == (3, [], [])
    assert len(list(journals(root))) == 1
