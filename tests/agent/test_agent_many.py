"""An agent with many journals, with other agents beside it, and with little room."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.kit import plugin, said, statuses, the_agent, wait_for
from synapse_otel import OTelLogger, RuntimeContext
from synapse_otel.agent.bell import ring
from synapse_otel.agent.place import places
from synapse_otel.journal.directory import journals
from synapse_otel.testing import Collector, Status

RUNS = 64


def cpu_seconds(pid: int) -> float:
    """The seconds that a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def peak_memory(pid: int) -> int:
    """The most MiB that a process had at a time."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def test_an_agent_is_small_also_with_many_journals(collector: Collector, root: Path) -> None:
    """Through an outage with 64 runs at work an agent takes little memory and hardly computes; then all arrives."""
    collector.fail(Status(503))
    loggers = [OTelLogger(f"job-{number}") for number in range(RUNS)]
    for logger in loggers:
        for number in range(200):
            logger.log_message(f"message {number}")
    agent = the_agent(root)
    wait_for(lambda: the_agent(root).live == RUNS)
    before = cpu_seconds(agent.pid)
    assert not loggers[0].flush(3)
    assert cpu_seconds(agent.pid) - before < 1.5
    collector.heal()
    assert all(logger.flush(60) for logger in loggers)
    assert peak_memory(agent.pid) < 160
    assert the_agent(root).pid == agent.pid
    for logger in loggers:
        logger.finish()
    assert collector.accepted["logs"] >= 200 * RUNS
    assert sum(logger.report().delivered for logger in loggers) == (200 + 2) * RUNS


def test_what_waits_for_one_collector_is_not_sent_to_another(
    collector: Collector, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that has ended while its collector is away is left alone by the agent of another configuration."""
    with Collector() as other, RuntimeContext.open("job-1") as ctx:
        assert ctx.flush(20)
        (place,) = places(root)
        monkeypatch.setenv("SYNAPSE_OTEL_FINISH_TIMEOUT", "0.5")
        other.fail(Status(503))
        for name, value in other.env().items():
            monkeypatch.setenv(name, value)
        with RuntimeContext.open("job-2"):
            pass
        for _ in range(5):
            assert ring(place.bell, "look")
            ctx.log_message("go on")
            assert ctx.flush(20)
        assert statuses(collector, "job-2") == []
        other.heal()
        wait_for(lambda: statuses(other, "job-2") == ["completed"])
    assert {span.resource["job_id"] for span in collector.spans} == {"job-1"}


def test_the_quota_holds_and_what_it_drops_is_counted_and_said(
    collector: Collector, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a collector away and little room the agent drops developer events; the run says and counts it."""
    monkeypatch.setenv("SYNAPSE_OTEL_QUOTA_BYTES", str(32 * 1024 * 1024))
    collector.fail(Status(503))
    with RuntimeContext.open("job-1") as ctx:
        for number in range(30_000):
            ctx.log_dev_event(f"{number} " + "x" * 2000)
        wait_for(lambda: "the journal directory has reached its quota" in caplog.text)
        collector.heal()
        assert ctx.flush(60)
    events = ctx.report().by_kind["dev_event"]
    assert (events.accepted, events.delivered + events.dropped) == (30_000, 30_000)
    assert events.dropped > 0
    assert (ctx.report().dropped, ctx.report().pending, ctx.report().dead_lettered) == (events.dropped, 0, 0)
    arrived = {record.body for record in collector.logs if record.event_name == "synapse.dev_event"}
    assert len(arrived) == events.delivered


def test_runs_of_threads_are_adopted_too(collector: Collector, root: Path) -> None:
    """A run that shipped in threads of its own and was killed is delivered by an agent that lives beside it."""
    with RuntimeContext.open("job-1") as ctx:
        assert ctx.flush(20)
        killed = """
            import os
            os.environ["SYNAPSE_OTEL_SHIPPER"] = "thread"
            from synapse_otel import RuntimeContext
            ctx = RuntimeContext.open("job-2")
            ctx.log_message("left")
            print("recorded", flush=True)
            os._exit(0)
        """
        assert said(plugin(killed)) == "recorded\n"
        wait_for(lambda: statuses(collector, "job-2") == ["crashed"])
        wait_for(lambda: collector.messages == ["left"])
        wait_for(lambda: len(list(journals(root))) == 1)


def test_workers_are_seen_off(collector: Collector, root: Path) -> None:
    """A process that ends itself has its workers' records delivered before it is gone."""
    code = """
        import multiprocessing, os
        from synapse_otel import RuntimeContext
        def work(ctx, number):
            ctx.log_message(f"worker {number}")
            os._exit(0)
        if __name__ == "__main__":
            with RuntimeContext.open("job-1") as ctx:
                context = multiprocessing.get_context("fork")
                workers = [context.Process(target=work, args=(ctx, number)) for number in range(4)]
                for worker in workers: worker.start()
                for worker in workers: worker.join()
    """
    said(plugin(code))
    assert sorted(collector.messages) == [f"worker {number}" for number in range(4)]
    assert sorted(map(str, statuses(collector, "job-1"))) == ["completed", *["crashed"] * 4]
