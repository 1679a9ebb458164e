"""However a plugin's process ends, what it had reported arrives, and the run is closed as what it was."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from faults.kit import Place
from faults.ledger import Ledger
from faults.outcome import Outcome
from faults.process_kit import start
from faults.table import FaultTable
from synapse_otel.testing import Collector


@dataclass(frozen=True)
class End:
    """How a process ends (see `process_ends`), and what is known of it afterwards.

    Attributes:
        last_line: What it prints last on the standard error.
    """

    name: str
    exit_code: int
    status: str
    last_line: str = ""

    @property
    def job(self) -> str:
        """Its job, which is called as it is."""
        by = f" by {signal.Signals(-self.exit_code).name}" if self.name == "signalled" else ""
        return self.name.replace("_", " ") + by


AT_ONCE = 3
INTERRUPTED = End("signalled", -signal.SIGINT, "cancelled", "KeyboardInterrupt")
ENDS = (
    End("segmentation_fault", -signal.SIGSEGV, "crashed"),
    End("abort", -signal.SIGABRT, "crashed"),
    End("terminated", -signal.SIGTERM, "crashed"),
    End("os_exit", 3, "crashed"),
    End("uncaught_exception", 1, "failed", "ValueError: a made-up error"),
    End("sys_exit", 0, "completed"),
    End("sys_exit_in_with", 4, "failed"),
    End("exception_in_with", 0, "failed"),
    End("never_finished", 0, "completed"),
    End("collected", 0, "completed"),
    End("finished_twice", 0, "completed"),
    End("threads_running", 0, "completed"),
    End("asynchronous", 0, "completed"),
)


SIGNALS = (
    End("signalled", -signal.SIGKILL, "crashed"),
    End("signalled", -signal.SIGTERM, "crashed"),
    End("handler_that_leaves", 128 + signal.SIGTERM, "completed"),
    End("handler_that_finishes", 128 + signal.SIGTERM, "cancelled"),
)


def check(place: Place, collector: Collector, table: FaultTable, outcomes: dict[End, Outcome]) -> None:
    """Each process ended in its way, was not harmed before, and nothing of it is lost."""

    def found(end: End) -> Ledger:
        return place.ledger(collector, outcomes[end], job=end.job)

    place.next_start(place.env(collector), until=lambda: all(found(end).is_settled for end in outcomes))
    for end, outcome in outcomes.items():
        assert ((outcome.stderr.splitlines() or [""])[-1], outcome.warnings) == (end.last_line, [])
        replace(outcome, stderr="").check_unharmed(exit_code=end.exit_code)
        assert found(end).statuses == {"faulty": end.status}
        table.add(end.job, place, outcome, found(end))


def test_every_end_of_a_process(place: Place, fault_table: FaultTable) -> None:
    """Of a process that dies, fails or just ends all arrives that was reported, and its run is closed as it ended."""
    with Collector() as collector:
        env, outcomes = place.env(collector), {}
        for some in batched(ENDS, AT_ONCE):
            plugins = {end: start(place, env, f"process_ends.{end.name}", end.job, calls=100) for end in some}
            outcomes |= {end: plugin.wait() for end, plugin in plugins.items()}
        check(place, collector, fault_table, outcomes)


def test_signals_in_the_middle_of_calls(place: Place, fault_table: FaultTable) -> None:
    """A signal ends the process, or the run under a call: what had returned arrives."""
    with Collector() as collector:
        check(place, collector, fault_table, {end: signalled(place, collector, end) for end in SIGNALS})


def test_an_interrupt_in_the_middle_of_calls(place: Place, fault_table: FaultTable) -> None:
    """Ctrl-C, which nobody handles, raises in a call and cancels the run, as it does in a `with`."""
    with Collector() as collector:
        check(place, collector, fault_table, {INTERRUPTED: signalled(place, collector, INTERRUPTED)})


def signalled(place: Place, collector: Collector, end: End) -> Outcome:
    """Let a plugin make calls, and give it the signal that it ends by."""
    plugin = start(place, place.env(collector), f"process_ends.{end.name}", end.job, calls=100, pause=0.00001)
    plugin.wait_returned(150)
    time.sleep(random.uniform(0, 0.02))
    plugin.kill(signal.Signals(-end.exit_code if end.exit_code < 0 else end.exit_code - 128))
    return plugin.wait()


def batched(ends: tuple[End, ...], size: int) -> Iterator[tuple[End, ...]]:
    return (ends[first : first + size] for first in range(0, len(ends), size))
