"""The collector does not take anything as long as the run goes; later it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from faults.kit import Place
from faults.recovering import USUALLY, deliver_rest
from faults.side_by_side import BOTH, SideBySide, Tried, each
from faults.table import FaultTable
from synapse_otel.testing import BlackHole, Collector, DropConnection, Fault, Garbage, Redirect, Slow, Status
from synapse_otel.testing.signals import WIRES

HTTP, GRPC = ("http/protobuf",), ("grpc",)
IMPATIENT = {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.5"}
ENOUGH = 400
"""How many calls a run makes at least."""


@dataclass(frozen=True)
class Case:
    """A fault that lasts as long as the run.

    Attributes:
        fault: What every request meets; None for a collector that is not there.
        env: What else is in the plugin's environment.
        finish_timeout: What the end of the run waits.
    """

    name: str
    fault: Fault | None
    protocols: tuple[str, ...] = BOTH
    env: Mapping[str, str] = field(default_factory=dict)
    finish_timeout: float = 0.5
    long: bool = False


RETRIED = {
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 408,
    "RESOURCE_EXHAUSTED": 429,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "INTERNAL": 500,
    "ABORTED": 500,
    "DATA_LOSS": 500,
}
"""What says nothing against the records, by the HTTP status that it goes with."""

CASES = [
    Case("absent", None),
    Case("black hole", BlackHole(), env=IMPATIENT),
    Case("answers too late", Slow(1.0), env=IMPATIENT),
    *(Case(f"HTTP {code}", Status(code), HTTP) for code in (401, 403, 408, 429, 500, 502, 503, 504)),
    *(Case(f"HTTP {code}, Retry-After 1", Status(code, retry_after=1), HTTP) for code in (429, 503)),
    *(Case(f"gRPC {name}", Status(code, grpc_code=name), GRPC) for name, code in RETRIED.items()),
    Case("gRPC UNAVAILABLE, RetryInfo 1", Status(503, retry_after=1), GRPC),
    Case("gRPC RESOURCE_EXHAUSTED, RetryInfo 1", Status(429, 1, grpc_code="RESOURCE_EXHAUSTED"), GRPC),
    Case("web page", Garbage(), HTTP),
    Case("garbage", Garbage(b"\xff\xfe\xfd")),
    Case("connection dropped after the headers", DropConnection("headers"), HTTP),
    Case("connection dropped after the body", DropConnection("body")),
    Case("half a response", DropConnection("half_response"), HTTP),
    Case("half a response, all taken", DropConnection("half_response", accept=True)),
    *(Case(f"redirect {code}", Redirect("/elsewhere", code), HTTP) for code in (301, 307)),
    Case("black hole, default time-outs", BlackHole(), finish_timeout=5.0, long=True),
    Case("answers after 20 s", Slow(20.0), finish_timeout=5.0, long=True),
]
PATHS = {path for wire in WIRES for path in (wire.path, wire.method)}


def scenario(case: Case, place: Place, protocol: str) -> Tried:
    """Run a plugin to its end under the fault, then mend it and deliver what was left."""
    with Collector() as collector:
        mended = place.env(collector, protocol)
        if case.fault is None:
            collector.stop()
        else:
            collector.fail(case.fault)
        env = {**mended, **case.env, "SYNAPSE_OTEL_FINISH_TIMEOUT": str(case.finish_timeout)}
        plugin = place.start(env, pause=0.002)
        plugin.wait_warned()
        plugin.wait_returned(ENOUGH)
        plugin.end()
        outcome = plugin.wait()
        outcome.check_unharmed(finish_timeout=case.finish_timeout)
        assert outcome.report is not None
        assert outcome.report.pending == outcome.report.accepted, "nothing was taken"
        assert len(outcome.warnings) == 1, outcome.warnings
        collector.heal()
        collector.start()
        deliver_rest(place, mended, USUALLY[protocol], lambda: place.ledger(collector, outcome).is_settled)
        assert {request.path for request in collector.requests} <= PATHS, "a redirect was followed"
        return Tried(place, outcome, place.ledger(collector, outcome))


@each(CASES)
def test_what_was_recorded_under_a_fault_is_delivered_when_it_is_mended(
    side_by_side: SideBySide, fault_table: FaultTable, case: Case, protocol: str, shipper: str
) -> None:
    """The plugin notices nothing, its log says so once, and the next start or `push` delivers every record."""
    tried = side_by_side.tried(case, protocol, shipper)
    fault_table.add(case.name, tried.place, tried.outcome, tried.ledger)
    assert tried.ledger.progress == {"worker 0": tried.outcome.calls}
    assert tried.ledger.statuses == {"faulty": "completed"}
