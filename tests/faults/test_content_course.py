"""Values that block, report, change or raise while they are reported: the run goes on, and ends as it would."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from faults.flight import Runs, arrived_whole, fly_to
from faults.hostile_values import ZOO
from faults.kit import Place
from synapse_otel.testing import Collector


@pytest.fixture
def run(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """Opens runs that send to its collector."""
    with Collector() as collector:
        fly_to(place.env(collector), monkeypatch)
        yield Runs(collector)


def test_a_value_that_blocks_holds_up_its_own_call_alone(run: Runs) -> None:
    """While the `repr` of a value waits for a lock, what other threads report is delivered; then its own record."""
    ctx, lock, waiting = run("blocked"), threading.Lock(), threading.Event()

    class Waits:
        def __repr__(self) -> str:
            waiting.set()
            with lock:
                return "at last"

    blocked = threading.Thread(target=lambda: ctx.log("blocked", {"value": Waits()}))
    with lock:
        blocked.start()
        assert waiting.wait(10)
        began = time.perf_counter()
        for number in range(100):
            ctx.log_message(f"message {number}")
        took = time.perf_counter() - began
        assert ctx.flush(30)
        assert len(run.collector.messages) == 100
    blocked.join(10)
    assert took < 1
    arrived_whole(ctx, {"event": 1, "message": 100})
    assert [log.attributes["value"] for log in run.collector.logs if log.event_name == "blocked"] == ["at last"]


def test_a_value_that_blocks_does_not_hold_up_the_end(run: Runs) -> None:
    """A run ends while a value is being described; the call that comes too late is refused as one after the end."""
    ctx, lock, waiting, raised = run("blocked"), threading.Lock(), threading.Event(), []

    class Waits:
        def __str__(self) -> str:
            waiting.set()
            with lock:
                return "too late"

    def report() -> None:
        try:
            ctx.log_message(Waits())
        except RuntimeError as error:
            raised.append(error)

    blocked = threading.Thread(target=report)
    with lock:
        blocked.start()
        assert waiting.wait(10)
        arrived_whole(ctx, {"run": 2})
    blocked.join(10)
    assert len(raised) == 1


def test_a_value_that_reports_itself_is_reported(run: Runs) -> None:
    """A `repr` that calls the context again, or ends a step, neither hangs nor loses a record."""
    ctx = run("reentrant")

    class Reports:
        def __repr__(self) -> str:
            ctx.log_message("inside")
            ctx.set_progress(1, 2, "inside")
            ctx.report()
            return "reported"

        __str__ = __repr__

    ctx.log("outside", {"value": Reports()})
    ctx.log_message(Reports())
    arrived_whole(ctx, {"event": 1, "message": 3})
    assert run.collector.messages == ["inside", "inside", "reported"]


def test_a_mapping_that_other_threads_change_is_taken_as_it_is_at_some_moment(run: Runs) -> None:
    """No call raises because the plugin goes on filling what it reports."""
    ctx, shared, stop = run("shared"), {"first": 0}, threading.Event()

    def churn() -> None:
        for number in itertools.cycle(range(90)):
            shared[f"key {number}"] = number
            shared.pop(f"key {number * 7 % 90}", None)
            if stop.is_set():
                return

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=churn)
    thread.start()
    try:
        ctx.set_metrics({"first": 0}, "shared")
        for _ in range(300):
            ctx.log("shared", shared)
            ctx.log_dev_event("shared", shared)
            ctx.set_metrics(shared, "shared")
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)
    arrived_whole(ctx, {"event": 300, "dev_event": 300, "metrics": 301})


def test_any_exception_ends_a_step_and_a_run(run: Runs) -> None:
    """Exceptions in circles, in deep groups, of hostile types and texts are recorded, and come out as they went in."""
    errors = [error for make in ZOO.values() if issubclass(type(error := make()), BaseException)]
    errors += [
        type("Nameless", (Exception,), {"__module__": 7, "__qualname__": "\ud800"})(),
        ValueError("\U0001f600" * 50_000),
    ]
    for error in errors:
        ctx = run("failing")
        came_out = None
        try:
            with ctx, ctx.step("failing"):
                raise error
        except BaseException as raised:
            came_out = raised is error  # a plain bool: pytest would look into what it compares, and it bites
        assert came_out
        arrived_whole(ctx, {"exception": 2, "step": 2})
    failed = [span for span in run.collector.spans if span.name == "failing"]
    assert {span.status for span in failed} == {"error"}
    assert len(failed) == len(errors)
