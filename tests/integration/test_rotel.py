"""The same runs through a collector that others wrote, so that we do not only test against ourselves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration import rotel
from synapse_otel import RuntimeContext
from synapse_otel.testing import Collector

pytestmark = pytest.mark.skipif(
    rotel.binary() is None, reason="rotel has a wheel for Linux on x86-64 with Python 3.11 and 3.12 only"
)


@pytest.fixture
def behind(protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A receiver behind a running rotel, which the environment points to."""
    with Collector() as target, rotel.running(target, protocol, tmp_path) as between:
        for name, value in between.env(protocol).items():
            monkeypatch.setenv(name, value)
        yield target


def test_a_run_comes_through_whole(behind: Collector) -> None:
    """Spans, messages, events and every metric sample come out of rotel as they went in."""
    with RuntimeContext.open("job-1", "train") as ctx:
        with ctx.step("fit"):
            for number in range(200):
                ctx.set_metrics({"loss": 1.0 / (number + 1)}, "training")
        ctx.set_metrics({"broken": math.nan}, "training")
        ctx.set_progress(3, 3, "epochs")
        ctx.log("saved", {"epoch": 1, "nested": {"a": [1, 2]}}, file="model.pt")
        ctx.log_message("done", "success")
        assert ctx.flush(20)
        assert ctx.report().dead_lettered == 0
    behind.wait_for(lambda c: c.span("train") and len(c.logs) == 2 and len(c.points_of("synapse.metric.loss")) == 200)
    assert [point.value for point in behind.points_of("synapse.metric.loss")] == [1.0 / n for n in range(1, 201)]
    assert math.isnan(behind.points_of("synapse.metric.broken")[0].value)
    saved, done = sorted(behind.logs, key=lambda log: log.time_ns)
    assert (saved.event_name, saved.attributes["nested"]) == ("saved", {"a": [1, 2]})
    assert (done.body, done.severity_number, done.severity_text) == ("done", 10, "success")
    run, fit = behind.span("train"), behind.span("fit")
    assert fit.parent_span_id == run.span_id
    assert {span.resource["job_id"] for span in behind.spans} == {"job-1"}
    assert [event.name for event in run.events] == ["saved", "message"]


def test_a_burst_comes_through_whole(behind: Collector) -> None:
    """Ten thousand messages in a tight loop come out of rotel, each once."""
    with RuntimeContext.open("job-1") as ctx:
        for number in range(10_000):
            ctx.log_message(f"message {number}")
        assert ctx.flush(60)
    behind.wait_for(lambda c: c.accepted["logs"] >= 10_000, timeout=30)
    assert sorted(int(body.split()[1]) for body in behind.messages) == list(range(10_000))
