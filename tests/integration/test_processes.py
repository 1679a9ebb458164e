"""Runs of processes that die, fork, or never finish."""

from __future__ import annotations

import asyncio
import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest
from opentelemetry import trace

from synapse_otel import RuntimeContext
from synapse_otel.testing import Collector, Span

COUNTING = """
    import os, sys
    from synapse_otel import RuntimeContext
    ctx = RuntimeContext.open(sys.argv[1], "train")
    counter = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
    number = 0
    with ctx.step("loop"):
        while True:
            ctx.log_message(f"message {number}")
            os.pwrite(counter, b"%08d" % number, 0)
            number += 1
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments], text=True, stdout=subprocess.PIPE
    )


def root(collector: Collector, job_id: str) -> Span | None:
    spans = [s for s in collector.spans if s.resource["job_id"] == job_id and "synapse.run.status" in s.attributes]
    return spans[0] if spans else None


def kill_while_counting(job_id: str, counter: Path) -> int:
    """Let a process log numbered messages, kill it at a random moment, return the last whose call had returned."""
    process = start(COUNTING, job_id, str(counter))
    while not counter.exists() or counter.stat().st_size == 0:
        time.sleep(0.002)
    time.sleep(random.uniform(0, 0.1))
    process.kill()
    process.communicate()
    return int(counter.read_text())


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_killed_runs_are_delivered_whole_by_the_next_start(collector: Collector, tmp_path: Path) -> None:
    """Every message whose call had returned arrives, once, and each run is closed as crashed."""
    last = {f"job-{i}": kill_while_counting(f"job-{i}", tmp_path / f"counter-{i}") for i in range(5)}
    with RuntimeContext.open("next"):
        for job_id, number in last.items():
            collector.wait_for(lambda c, job=job_id: root(c, job), timeout=60)
            collector.wait_for(lambda c, job=job_id, n=number: len(numbers(c, job)) > n, timeout=60)
    for job_id, number in last.items():
        arrived = numbers(collector, job_id)
        # The call that was under way when the kill came may have written its record.
        assert arrived in ([*range(number + 1)], [*range(number + 2)])
        crashed = root(collector, job_id)
        assert crashed is not None
        assert (crashed.status, crashed.attributes["synapse.run.status"]) == ("error", "crashed")
        loop = next(s for s in collector.spans if s.resource["job_id"] == job_id and s.name == "loop")
        assert (loop.status, loop.end_ns) == ("error", crashed.end_ns)


def numbers(collector: Collector, job_id: str) -> list[int]:
    return sorted(
        {
            int(x.body.split()[1])
            for x in collector.logs
            if x.body.startswith("message ") and x.resource["job_id"] == job_id
        }
    )


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_a_run_that_nobody_finished_ends_with_the_interpreter(collector: Collector) -> None:
    """At the end of the interpreter an open run is completed, or failed with the exception that ended the program."""
    code = """
        import sys
        from synapse_otel import RuntimeContext
        ctx = RuntimeContext.open(sys.argv[1])
        ctx.log_message("message 1")
        if sys.argv[1] == "failing":
            raise ValueError("a made-up error")
    """
    for job_id in ("passing", "failing"):
        process = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), job_id], capture_output=True, text=True, check=False
        )
        assert process.returncode == (1 if job_id == "failing" else 0)
    passing, failing = root(collector, "passing"), root(collector, "failing")
    assert passing is not None
    assert failing is not None
    assert passing.attributes["synapse.run.status"] == "completed"
    assert failing.attributes["synapse.run.status"] == "failed"
    assert failing.status_message == "ValueError: a made-up error"
    assert [event.name for event in failing.events] == ["message", "exception"]


@pytest.mark.parametrize("protocol", ["http/protobuf"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_of_multiprocessing_go_on_in_the_same_run(collector: Collector, method: str) -> None:
    """A context carried to child processes records into the same trace and job, each process as an own instance."""
    code = """
        import multiprocessing, sys
        from synapse_otel import RuntimeContext

        def work(ctx, number):
            ctx.log_message(f"message {number}")

        if __name__ == "__main__":
            with RuntimeContext.open("job-1", "train") as ctx:
                ctx.log_message("message 0")
                method = multiprocessing.get_context(sys.argv[1])
                children = [method.Process(target=work, args=(ctx, number)) for number in (1, 2, 3)]
                for child in children:
                    child.start()
                for child in children:
                    child.join()
                    assert child.exitcode == 0
    """
    program = Path(os.environ["SYNAPSE_OTEL_JOURNAL_DIR"]).parent / "program.py"
    program.write_text(textwrap.dedent(code))
    subprocess.run([sys.executable, str(program), method], check=True, timeout=60)
    with RuntimeContext.open("sweeper"):  # a child may have ended before its collector took all
        collector.wait_for(lambda c: len(numbers(c, "job-1")) == 4, timeout=20)
        collector.wait_for(lambda c: sum("synapse.worker" in s.attributes for s in c.spans if s.end_ns) >= 3)
    logs = [log for log in collector.logs if log.resource["job_id"] == "job-1" and log.event_name == "synapse.message"]
    assert len({log.trace_id for log in logs}) == 1
    assert len({log.resource["service.instance.id"] for log in logs}) == 4
    assert Counter(log.body for log in logs) == Counter(f"message {number}" for number in range(4))
    workers = [span for span in collector.spans if span.name == "train worker"]
    assert {span.attributes["synapse.run.status"] for span in workers} == {"completed"}
    assert {span.parent_span_id for span in workers} == {collector.span("train").span_id}


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_a_bare_fork_records_into_its_own_journal(collector: Collector) -> None:
    """A child made with os.fork in the middle of writing threads keeps its records apart from its parent's."""
    code = """
        import os, threading
        from synapse_otel import RuntimeContext
        with RuntimeContext.open("job-1", "train") as ctx:
            stop = threading.Event()
            def busy():
                while not stop.is_set():
                    ctx.set_metrics({"x": 1}, "noise")
            thread = threading.Thread(target=busy)
            thread.start()
            children = []
            for number in range(5):
                child = os.fork()
                if child == 0:
                    ctx.log_message(f"message {number}")
                    ctx.logger.finish()
                    os._exit(0)
                children.append(child)
            for child in children:
                assert os.waitpid(child, 0)[1] == 0
            stop.set()
            thread.join()
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], check=True, timeout=60)
    with RuntimeContext.open("sweeper"):
        collector.wait_for(lambda c: numbers(c, "job-1") == [0, 1, 2, 3, 4], timeout=20)


def test_a_pickled_context_is_the_same_run(journal_dir: Path) -> None:
    """Pickling carries trace and job."""
    with RuntimeContext.open("job-1", "train") as ctx, pickle.loads(pickle.dumps(ctx)) as other:
        assert (other.trace_id, other.job_id) == (ctx.trace_id, "job-1")
    assert [run.name.split("~")[0] for run in journal_dir.glob("[!.]*")] == ["job-1"]


def test_traceparent_makes_the_run_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """TRACEPARENT in the environment puts the run into that trace, and propagation_env gives it on."""
    monkeypatch.setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    with RuntimeContext.open("job-1") as ctx:
        assert ctx.trace_id == "0af7651916cd43dd8448eb211c80319c"
        assert ctx.propagation_env()["TRACEPARENT"].split("-")[1] == ctx.trace_id
        assert ctx.propagation_env()["SYNAPSE_JOB_ID"] == "job-1"


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_a_segmentation_fault_is_a_crash(collector: Collector) -> None:
    """A process that dies in native code leaves everything it had recorded."""
    code = """
        import faulthandler, sys
        from synapse_otel import RuntimeContext
        ctx = RuntimeContext.open("job-1")
        for number in range(100):
            ctx.log_message(f"message {number}")
        faulthandler._sigsegv()
    """
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert process.returncode == -signal.SIGSEGV
    with RuntimeContext.open("next"):
        collector.wait_for(lambda c: root(c, "job-1") and numbers(c, "job-1") == [*range(100)], timeout=20)


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_the_tasks_of_a_pool_share_the_journal_of_their_process(collector: Collector, journal_dir: Path) -> None:
    """A context that a pool unpickles for every task is one worker per process, which ends with the pool."""
    code = """
        import sys
        from concurrent.futures import ProcessPoolExecutor
        from synapse_otel import RuntimeContext

        def work(ctx, number):
            ctx.log_message(f"message {number}")

        if __name__ == "__main__":
            with RuntimeContext.open("job-1", "train") as ctx, ProcessPoolExecutor(2) as pool:
                list(pool.map(work, [ctx] * 40, range(40)))
    """
    program = journal_dir.parent / "program.py"
    program.write_text(textwrap.dedent(code))
    subprocess.run([sys.executable, str(program)], check=True, timeout=60)
    with RuntimeContext.open("sweeper"):
        collector.wait_for(lambda c: numbers(c, "job-1") == [*range(40)], timeout=20)
        collector.wait_for(lambda c: any(s.name == "train worker" for s in c.spans))
    workers = [span for span in collector.spans if span.name == "train worker"]
    assert 1 <= len(workers) <= 2
    assert {span.attributes["synapse.run.status"] for span in workers} == {"completed"}


def test_an_async_run_ends_in_another_thread(caplog: pytest.LogCaptureFixture) -> None:
    """`async with` waits for the delivery without the event loop, and leaves the context as it was, silently."""

    async def train() -> None:
        async with RuntimeContext.open("job-1") as ctx:
            with ctx.step("fit"):
                ctx.log_message("hello")
        assert trace.get_current_span() is trace.INVALID_SPAN

    asyncio.run(train())
    assert caplog.records == []


WORKER = """
    import os, sys, time
    from synapse_otel.otel_logger import OTelLogger
    logger = OTelLogger(name="train", parent_env=os.environ)
    logger.log_message("working")
    if sys.argv[1] == "rests":
        logger.rest(ValueError("a made-up error") if sys.argv[2:] else None)
    print("ready", flush=True)
    time.sleep(60)
"""


def worker(ctx: RuntimeContext, *arguments: str) -> subprocess.Popen[str]:
    """Start a process that goes on with a run, and wait until it has reported."""
    command = [sys.executable, "-c", textwrap.dedent(WORKER), *arguments]
    process = subprocess.Popen(command, env={**os.environ, **ctx.propagation_env()}, text=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_workers_that_are_killed_are_seen_while_their_run_goes_on(collector: Collector) -> None:
    """One that was at work has crashed, one that was at rest has completed, or failed as it had."""

    def statuses(c: Collector) -> list[str]:
        spans = [
            span
            for span in c.spans
            if span.attributes.get("synapse.worker") and "synapse.run.status" in span.attributes
        ]
        return sorted(span.attributes["synapse.run.status"] for span in spans)

    with RuntimeContext.open("job-1", "train") as ctx:
        processes = [worker(ctx, "works"), worker(ctx, "rests"), worker(ctx, "rests", "failed")]
        for process in processes:
            process.kill()
            process.communicate()
        assert collector.wait_for(lambda c: len(statuses(c)) == 3, timeout=30)
    assert statuses(collector) == ["completed", "crashed", "failed"]
    assert len({span.trace_id for span in collector.spans}) == 1


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_workers_that_end_with_their_run_are_seen_off_at_the_end_of_the_interpreter(collector: Collector) -> None:
    """What a worker at rest left, which is ended when its parent is, is delivered by the parent's last act."""
    code = """
        import atexit, os, subprocess, sys
        from synapse_otel import RuntimeContext
        with RuntimeContext.open("job-1", "train") as ctx:
            process = subprocess.Popen([sys.executable, "-c", sys.argv[1], "rests"], text=True, stdout=subprocess.PIPE,
                                       env={**os.environ, **ctx.propagation_env()})
            process.stdout.readline()
        process.kill()
        process.wait()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), textwrap.dedent(WORKER)], check=True, timeout=60)
    ended = [span.name for span in collector.spans if "synapse.run.status" in span.attributes]
    assert sorted(ended) == ["train", "train worker"]


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_many_unfinished_runs_hold_up_the_end_of_the_interpreter_no_longer_than_one(collector: Collector) -> None:
    """Where nobody answers, they wait together as long as one of them would."""
    code = """
        from synapse_otel import RuntimeContext
        for number in range(5):
            RuntimeContext.open(f"job-{number}").log_message("x")
    """
    collector.stop()
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60, stderr=subprocess.DEVNULL)
    assert time.monotonic() - began < 20  # alone, each of them waits five seconds
