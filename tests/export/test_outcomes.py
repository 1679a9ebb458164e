"""What each answer over HTTP means for the records."""

from __future__ import annotations

import email.utils
import time

import pytest

from synapse_otel.export.exporters import client
from synapse_otel.export.http import _said as said_in
from synapse_otel.export.http import retry_after
from synapse_otel.export.outcome import Verdict
from synapse_otel.export.settings import signal_settings
from synapse_otel.testing import BlackHole, Collector, DropConnection, Fault, Garbage, PartialSuccess, Redirect, Status


def outcome_of(fault: Fault | None, protocol: str = "http/protobuf", timeout: str = "1") -> tuple[Verdict, str, object]:
    with Collector() as collector:
        if fault:
            collector.fail(fault)
        environ = {**collector.env(protocol), "OTEL_EXPORTER_OTLP_TIMEOUT": timeout}  # type: ignore[arg-type]  # values by name
        sender = client(signal_settings(environ)["logs"])
        outcome = sender.send(b"")
        sender.close()
        return outcome.verdict, outcome.reason, outcome.retry_after


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (None, Verdict.DELIVERED),
        (PartialSuccess(0, "a warning"), Verdict.DELIVERED),
        (Status(400), Verdict.REFUSED),
        (Status(413), Verdict.REFUSED),
        (Status(401), Verdict.RETRY),
        (Status(403), Verdict.RETRY),
        (Status(404), Verdict.UNSERVED),
        (Status(405), Verdict.UNSERVED),
        (Status(501), Verdict.UNSERVED),
        (Status(408), Verdict.RETRY),
        (Status(429), Verdict.RETRY),
        (Status(500), Verdict.RETRY),
        (Status(502), Verdict.RETRY),
        (Status(503), Verdict.RETRY),
        (Status(504), Verdict.RETRY),
        (Redirect("http://127.0.0.1:1/"), Verdict.RETRY),
        (DropConnection("headers"), Verdict.RETRY),
        (DropConnection("half_response"), Verdict.RETRY),
        (BlackHole(), Verdict.RETRY),
    ],
    ids=str,
)
def test_verdicts(fault: Fault | None, verdict: Verdict, protocol: str) -> None:
    """Content that is refused, a signal that is not served, and everything that may pass are told apart."""
    assert outcome_of(fault, protocol)[0] is verdict


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"too old sample\ntoo old sample\nduplicate sample\n", "too old sample; duplicate sample"),
        (b"<html>\n<head><TITLE>400\n Bad Request </TITLE></head>\n</html>\n", "400; Bad Request"),
        (b"<html>\n<body>Sorry</body>\n</html>\n", ""),
        (b"\x00\x01", ""),
    ],
    ids=["lines", "a web page", "a web page without a title", "bytes"],
)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-protobuf"])
def test_what_a_receiver_says_is_told(body: bytes, said: str, kind: str) -> None:
    """Text of several lines is told, each once, also under a wrong name; of a web page the title, of bytes nothing."""
    assert said_in({"Content-Type": kind}, body) == said


@pytest.mark.parametrize("status", [402, 409, 410, 415, 422, 431])
def test_other_client_errors_refuse_the_content(status: int) -> None:
    """Any other 4xx is final for the content."""
    assert outcome_of(Status(status))[0] is Verdict.REFUSED


def test_a_page_is_no_delivery() -> None:
    """A 200 with a web page means that something else than a collector answers."""
    verdict, reason, _ = outcome_of(Garbage())
    assert (verdict, reason.split(": ", 1)[1]) == (
        Verdict.RETRY,
        "HTTP 200 with a web page: something other than a collector answers",
    )


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_the_asked_delay_is_known(protocol: str) -> None:
    """Retry-After and gRPC's RetryInfo say when to try again."""
    assert outcome_of(Status(503, retry_after=7), protocol)[2] == 7.0


def test_an_exhausted_receiver_that_is_only_busy_is_tried_again() -> None:
    """RESOURCE_EXHAUSTED is final where the text speaks of size, else it passes."""
    busy = Status(429, grpc_code="RESOURCE_EXHAUSTED", message="rate limit exceeded")
    assert outcome_of(busy, "grpc")[0] is Verdict.RETRY


def test_retry_after_as_a_date() -> None:
    """A date is turned into seconds from now, one in the past into zero, nonsense into nothing."""
    soon = email.utils.formatdate(time.time() + 30, usegmt=True)
    past = email.utils.formatdate(time.time() - 30, usegmt=True)
    assert 28 < (retry_after(soon) or 0) <= 30
    assert (retry_after(past), retry_after("12"), retry_after("soon"), retry_after(None)) == (0.0, 12.0, None, None)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_host_that_does_not_exist(protocol: str) -> None:
    """A name that does not resolve is a reason to try again, in words."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.invalid:4318",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
    }
    sender = client(signal_settings(environ)["logs"])
    outcome = sender.send(b"")
    sender.close()
    assert outcome.verdict is Verdict.RETRY
    assert "collector.invalid" in outcome.reason
