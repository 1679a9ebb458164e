"""What becomes of a collector in the course of a run."""

from __future__ import annotations

import time
from collections.abc import Callable

from faults.kit import Plugin, wait_until
from synapse_otel.testing import Collector, Fault, Slow

Course = Callable[[Collector, Plugin], None]
"""Brings it about while the plugin runs; the run ends afterwards."""

LONGEST = 300.0
"""Seconds that a run may take."""


def away(seconds: float) -> Course:
    """Be away for so long."""

    def course(collector: Collector, plugin: Plugin) -> None:
        _wait_for_more(collector)
        collector.stop()
        time.sleep(seconds)
        collector.start()
        _wait_for_more(collector)

    return course


def flapping(seconds: float) -> Course:
    """Go away in the middle of a request, and come back until something is taken, again and again for so long."""

    def course(collector: Collector, plugin: Plugin) -> None:
        ending = time.monotonic() + seconds
        while time.monotonic() < ending:
            with collector.failing(Slow(0.1)):
                _wait_for_request(collector)
                collector.stop()
            time.sleep(0.3)
            collector.start()
            _wait_for_more(collector)

    return course


def for_a_while(fault: Fault, seconds: float = 1.5) -> Course:
    """Meet requests with a fault, for so long at least."""

    def course(collector: Collector, plugin: Plugin) -> None:
        _wait_for_more(collector)
        with collector.failing(fault):
            _wait_for_request(collector)
            time.sleep(seconds)
        _wait_for_more(collector)

    return course


def at_first(fault: Fault) -> Course:
    """Meet the first request of each signal with a fault."""

    def course(collector: Collector, plugin: Plugin) -> None:
        for signal in ("traces", "metrics", "logs"):
            collector.fail(fault, 1, signal)
        _wait_for_more(collector)

    return course


def all_along(fault: Fault, seconds: float = 3.0) -> Course:
    """Meet all requests with a fault."""

    def course(collector: Collector, plugin: Plugin) -> None:
        collector.fail(fault)
        time.sleep(seconds)

    return course


def absent(collector: Collector, plugin: Plugin) -> None:
    """Never be there."""
    collector.stop()
    time.sleep(3.0)


def healthy(collector: Collector, plugin: Plugin) -> None:
    """Take everything."""
    _wait_for_more(collector)


def _wait_for_more(collector: Collector) -> None:
    """Wait until something more is taken."""
    taken = sum(collector.accepted.values())
    wait_until(lambda: sum(collector.accepted.values()) > taken, LONGEST)


def _wait_for_request(collector: Collector) -> None:
    """Wait until something more is asked for."""
    seen = len(collector.requests)
    wait_until(lambda: len(collector.requests) > seen, LONGEST)
