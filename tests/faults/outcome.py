"""What became of a plugin's process, and what it may have noticed of a fault: nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from faults.plugin import KINDS
from synapse_otel.models import DeliveryReport

FINISH_TIMEOUT = 0.5
"""Seconds that a plugin's end waits for its delivery, unless a test says otherwise."""
CALL_BUDGET = 0.25
"""Seconds that no call may take: far above what a busy machine adds, far below any time-out of the network."""
END_BUDGET = 2.0
"""Seconds that the end of a run and of its process may take on top of `finish_timeout`."""
BUSY_MACHINE = 2.0
"""Seconds that a machine with other things to do may add to that: still less than the time-out of a request."""


@dataclass(frozen=True)
class Outcome:
    """What became of a plugin's process.

    Attributes:
        returned: How many calls of each worker have returned.
        longest_call: Seconds.
        exit_code: As `subprocess` has it.
        stderr: What it printed there: nothing, if all is well.
        end_delay: Seconds from the call of `finish` to the end of the process; None where it was not called.
        report: What `ctx.report()` said after `finish`; None where nobody asked.
        warnings: What was logged under `synapse_otel`.
    """

    returned: tuple[int, ...]
    longest_call: float
    exit_code: int
    stderr: str
    end_delay: float | None = None
    report: DeliveryReport | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """How many numbered calls have returned."""
        return sum(self.returned)

    def check_unharmed(
        self,
        *,
        exit_code: int = 0,
        finish_timeout: float = FINISH_TIMEOUT,
        call_budget: float = CALL_BUDGET,
        end_budget: float = END_BUDGET,
    ) -> None:
        """No exception, no slow call, no late end; and what is reported adds up."""
        assert (self.exit_code, self.stderr) == (exit_code, ""), f"exit code {self.exit_code}: {self.stderr}"
        assert self.longest_call <= call_budget, f"a call took {self.longest_call:.3f} s"
        if self.end_delay is not None:
            assert self.end_delay <= finish_timeout + end_budget + BUSY_MACHINE, f"the end took {self.end_delay:.2f} s"
        if self.report is not None:
            check_report(self.report, self.calls)


def check_report(report: DeliveryReport, calls: int) -> None:
    """Every call was accepted as one record, and each record is in exactly one state."""
    assert sum(report.by_kind[kind].accepted for kind in KINDS if kind in report.by_kind) == calls
    for kind, of in report.by_kind.items():
        assert of.accepted == of.delivered + of.pending + of.dropped + of.dead_lettered, (kind, of)
