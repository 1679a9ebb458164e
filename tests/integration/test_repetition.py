"""After a crash only the one request whose answer was not seen is repeated, to the last byte."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from synapse_otel import RuntimeContext
from synapse_otel.testing import BlackHole, Collector, DropConnection


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_a_lost_answer_repeats_the_same_request(collector: Collector) -> None:
    """A request that was taken and whose answer was lost is sent again as it was."""
    collector.fail(DropConnection("body", accept=True), times=1, signal="logs")
    with RuntimeContext.open("job-1") as ctx:
        for number in range(100):
            ctx.log_message(f"message {number}")
        assert ctx.flush(20)
    first, second = [request.body for request in collector.requests if request.signal == "logs"][:2]
    assert first == second


@pytest.mark.parametrize("protocol", ["http/protobuf"])
@pytest.mark.parametrize("signal", ["logs", "traces", "metrics"])
def test_a_crash_in_the_middle_of_a_request_repeats_the_same_request(collector: Collector, signal: str) -> None:
    """The next process begins with the request that was under way, though more was recorded since."""
    code = """
        import os, sys, time
        from synapse_otel import RuntimeContext
        ctx = RuntimeContext.open("job-1")
        def record(numbers):
            for number in numbers:
                ctx.log_message(f"message {number}")
                ctx.set_metrics({"x": number}, "training")
        record(range(150))
        print("recorded", flush=True)
        sys.stdin.readline()
        record(range(150, 300))
        os.kill(os.getpid(), 9)
    """
    with collector.failing(BlackHole()):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        collector.wait_for(lambda c: any(request.signal == signal and request.size for request in c.requests))
        process.communicate("go on\n")
    under_way = next(request for request in collector.requests if request.signal == signal and request.size)
    with RuntimeContext.open("next"):
        collector.wait_for(lambda c: len(set(c.messages)) == 300 and len(c.points_of("synapse.metric.x")) >= 300, 30)
    again = [request for request in collector.requests if request.signal == signal and request is not under_way]
    assert under_way.body in [request.body for request in again]
    bodies = [request.body for request in again if request.status == 200]
    assert len(bodies) == len(set(bodies))
