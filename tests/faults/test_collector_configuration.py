"""The plugin and the collector are not configured for each other; later they are."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import trustme

from faults.kit import Place
from faults.recovering import USUALLY, By, deliver_rest
from faults.side_by_side import BOTH, SideBySide, Tried, each
from faults.table import FaultTable
from synapse_otel.testing import Collector, ServerTLS

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
ENOUGH = 400
"""How many calls a run makes at least."""
NAMES = ("127.0.0.1", "localhost")


OURS, THEIRS = trustme.CA(), trustme.CA()


def issued(by: trustme.CA, *names: str, expired: bool = False) -> ServerTLS:
    """A certificate for a collector."""
    dates = {"not_before": LONG_AGO, "not_after": LONG_AGO + datetime.timedelta(days=1)} if expired else {}
    certificate = by.issue_cert(*names, **dates)
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    return ServerTLS(chain, certificate.private_key_pem.bytes())


def right() -> ServerTLS:
    """A certificate that the plugin has no objection to."""
    return issued(OURS, *NAMES)


@dataclass(frozen=True)
class Case:
    """What is wrong for the time of the run.

    Attributes:
        wrong_tls: Makes the certificate that the collector has at first; plain text without.
        tls: Makes the one that it has later.
        wrong_env: What is wrong in the plugin's environment.
        by: What delivers the rest: an agent that waits for one place does not leave its journals to that of another.
    """

    name: str
    wrong_tls: Callable[[], ServerTLS] | None = None
    tls: Callable[[], ServerTLS] | None = None
    wrong_env: Mapping[str, str] = field(default_factory=dict)
    by: By | None = None
    protocols: tuple[str, ...] = BOTH
    long: bool = False


CASES = [
    Case("TLS: expired", lambda: issued(OURS, *NAMES, expired=True), right),
    Case("TLS: wrong host", lambda: issued(OURS, "elsewhere.example"), right),
    Case("TLS: unknown authority", lambda: issued(THEIRS, *NAMES), right),
    Case("TLS: not spoken there", None, right),
    Case("wrong token, then right", wrong_env={"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20wrong"}),
    Case(
        "a host that does not resolve",
        wrong_env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.invalid:4318"},
        by="push",
    ),
]


def scenario(case: Case, place: Place, protocol: str) -> Tried:
    """Run a plugin to its end with what is wrong, then mend it and deliver what was left."""
    file = place.directory / "authority.pem"
    OURS.cert_pem.write_to_path(str(file))
    trusting = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(file)} if case.tls else {}
    with Collector(headers={"authorization": "Bearer right"}) as collector:
        collector.tls = case.tls and case.tls()
        mended = place.env(collector, protocol, **trusting)
        serve(collector, case.wrong_tls and case.wrong_tls())
        plugin = place.start({**mended, **case.wrong_env}, pause=0.002)
        plugin.wait_warned()
        plugin.wait_returned(ENOUGH)
        plugin.end()
        outcome = plugin.wait()
        outcome.check_unharmed()
        assert outcome.report is not None
        assert outcome.report.pending == outcome.report.accepted, "nothing was taken"
        assert len(outcome.warnings) == 1, outcome.warnings
        serve(collector, case.tls and case.tls())
        deliver_rest(place, mended, case.by or USUALLY[protocol], lambda: place.ledger(collector, outcome).is_settled)
        return Tried(place, outcome, place.ledger(collector, outcome))


def serve(collector: Collector, tls: ServerTLS | None) -> None:
    """Serve with another certificate from now on."""
    collector.stop()
    collector.tls = tls
    collector.start()


@each(CASES)
def test_what_was_recorded_under_a_wrong_configuration_is_delivered_under_the_right_one(
    side_by_side: SideBySide, fault_table: FaultTable, case: Case, protocol: str, shipper: str
) -> None:
    """Nobody gets a record who should not, the log says once what is wrong, and nothing is lost."""
    tried = side_by_side.tried(case, protocol, shipper)
    fault_table.add(case.name, tried.place, tried.outcome, tried.ledger)
    assert tried.ledger.progress == {"worker 0": tried.outcome.calls}
    assert tried.ledger.statuses == {"faulty": "completed"}
