"""Many threads on one context, interrupts in the middle of its calls, and a run that ends under those who report."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import replace

from faults.kit import Place, wait_until
from faults.plugin import KINDS
from faults.process_kit import start
from faults.table import FaultTable
from synapse_otel.testing import Collector

INTERRUPTS = 40
CALL_BUDGET = 0.5
"""Seconds: each of so many threads waits for the others."""


def test_32_threads_on_one_context(place: Place, fault_table: FaultTable) -> None:
    """Whatever 32 threads report at once arrives, each in the steps of its own."""
    with Collector() as collector:
        outcome = place.start(place.env(collector), calls=50, pause=0.002, workers=32).wait()
        outcome.check_unharmed(call_budget=CALL_BUDGET)
        assert (outcome.returned, outcome.warnings) == ((50,) * 32, [])
        place.next_start(place.env(collector), lambda: place.ledger(collector, outcome).is_settled)
        fault_table.add("32 threads", place, outcome, place.ledger(collector, outcome))


def test_a_run_that_is_finished_while_threads_report(place: Place, fault_table: FaultTable) -> None:
    """What had returned when the run was finished, twice at once, arrives; what comes later is refused."""
    with Collector() as collector:
        env = place.env(collector)
        outcome = start(place, env, "process_threads.finished_meanwhile", workers=33, pause=0.002).wait()
        outcome.check_unharmed(call_budget=CALL_BUDGET)
        place.next_start(env, lambda: place.ledger(collector, outcome).is_settled)
        fault_table.add("used after finish", place, outcome, place.ledger(collector, outcome))


def test_daemon_threads_at_the_end_of_the_interpreter(place: Place, fault_table: FaultTable) -> None:
    """Threads that the interpreter leaves behind report until the run is closed, and never get an exception for it."""
    with Collector() as collector:
        env = place.env(collector)
        outcome = start(place, env, "process_threads.daemons_running", workers=4, pause=0.001).wait()
        outcome.check_unharmed()
        place.next_start(env, lambda: place.ledger(collector, outcome).is_settled)
        fault_table.add("end with daemon threads", place, outcome, place.ledger(collector, outcome))


def test_interrupts_in_the_middle_of_calls(place: Place, fault_table: FaultTable) -> None:
    """A plugin that is interrupted 40 times in its calls, and goes on each time, loses none that had returned."""
    with Collector() as collector:
        env = place.env(collector)
        plugin = start(place, env, "process_threads.interrupted", workers=INTERRUPTS + 1, pause=0.0001)
        for worker in range(1, INTERRUPTS + 1):
            wait_until(lambda worker=worker: sum(plugin.returned[worker:]) > 0, timeout=30)
            time.sleep(random.uniform(0, 0.002))
            plugin.kill(signal.SIGINT)
        outcome = plugin.wait()
        replace(outcome, report=None).check_unharmed()
        assert outcome.report
        accepted = sum(of.accepted for kind, of in outcome.report.by_kind.items() if kind in KINDS)
        assert outcome.calls <= accepted <= outcome.calls + INTERRUPTS  # what was interrupted may have been recorded
        place.next_start(env, lambda: place.ledger(collector, outcome).is_settled)
        fault_table.add("40 interrupts", place, outcome, place.ledger(collector, outcome))
