"""The doctor knows the agents: one that works, one with a problem, and none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.kit import the_agent, wait_for
from cli.following import Plugin
from cli.kit import Cli
from synapse_otel.agent.place import AgentPlace
from synapse_otel.agent.state import AgentState, agents, save
from synapse_otel.testing import Collector, Status

pytestmark = [pytest.mark.usefixtures("shipper"), pytest.mark.parametrize("shipper", ["agent"], indirect=True)]


@pytest.fixture(autouse=True)
def endpoint(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in collector.env().items():
        monkeypatch.setenv(name, value)


def lines(cli: Cli) -> list[str]:
    """What the doctor says of agents."""
    return [line for line in cli("doctor").out.splitlines() if re.match(r"  \S agent ", line)]


def test_an_agent_is_shown_while_it_lives(cli: Cli, journal_dir: Path, collector: Collector) -> None:
    """What it ships and where to, and what does not work for it; when it has gone, that the next run starts one."""
    plugin = Plugin()
    try:
        wait_for(lambda: [agent.live for agent in agents(journal_dir)] == [1])
        agent = the_agent(journal_dir)
        (line,) = lines(cli)
        ships = rf"1 live run and 0 journals of dead processes to {re.escape(collector.http_endpoint)}"
        assert re.fullmatch(rf"  ✔ agent       pid {agent.pid} for [\d.]+ m?s, ships {ships}", line)
        with collector.failing(Status(503)):
            plugin.do('ctx.log_message("late")')
            wait_for(lambda: the_agent(journal_dir).problems)
            _, problem = lines(cli)
        assert problem.startswith(f"  ⚠ agent       sending to {collector.http_endpoint} does not work")
        plugin.end()
    finally:
        plugin.close()
    wait_for(lambda: not agents(journal_dir))
    assert lines(cli) == ["  · agent       none is there: the next run starts one"]


def test_an_agent_of_another_version_is_said(cli: Cli, journal_dir: Path) -> None:
    """After an upgrade, an agent that was started before it may still be there for the runs that began before it."""
    place = AgentPlace(journal_dir, "f" * 16)
    lock = place.take()
    assert lock
    endpoints = ["http://127.0.0.1:1"]
    save(place, AgentState(pid=123, version="0.0.1", started=0, endpoints=endpoints, live=2, left=1))
    found = lines(cli)
    lock.release()
    assert re.fullmatch(
        r"  ✔ agent       pid 123 for \d+ d \d\d h, ships 2 live runs and 1 journal of dead processes to http://127.0.0.1:1",
        found[0],
    )
    assert found[1:] == ["  ⚠ agent       pid 123 is of version 0.0.1: the runs of others do not use it"]


def test_where_no_agent_is_wanted_none_is_missed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With threads that ship, nothing is said of agents."""
    monkeypatch.setenv("SYNAPSE_OTEL_SHIPPER", "thread")
    assert lines(cli) == []
