from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status as RpcStatus
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from synapse_otel.testing import (
    Answer,
    Call,
    Collector,
    DropConnection,
    PartialSuccess,
    Refuse,
    Status,
)
from testing import senders

BODY = senders.spans_body("a")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "UNIMPLEMENTED"),
        (405, "UNIMPLEMENTED"),
        (408, "DEADLINE_EXCEEDED"),
        (413, "RESOURCE_EXHAUSTED"),
        (418, "UNKNOWN"),
        (429, "UNAVAILABLE"),
        (500, "INTERNAL"),
        (501, "UNIMPLEMENTED"),
        (502, "UNAVAILABLE"),
        (503, "UNAVAILABLE"),
        (504, "UNAVAILABLE"),
    ],
)
def test_a_status_means_the_same_in_both_protocols(collector: Collector, status: int, code: str) -> None:
    """An HTTP status is answered as it is, and as its counterpart over gRPC; nothing is stored."""
    collector.fail(Status(status, message="because"))
    answer = senders.post(collector, BODY)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, None)
    assert RpcStatus.FromString(answer.content) == RpcStatus(message="because")
    called, details, trailers, _ = senders.call(collector, BODY)
    assert (called.name, details, trailers) == (code, "because", {})
    assert (collector.spans, [request.status for request in collector.requests]) == ([], [status] * 2)


@pytest.mark.parametrize(
    ("retry_after", "header", "seconds"),
    [
        (7, "7", 7),
        (0, "0", 0),
        (0.25, "0.25", 0.25),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", 0),
    ],
)
def test_retry_after_is_a_header_and_a_retry_info(
    collector: Collector, retry_after: float | str, header: str, seconds: float
) -> None:
    """When to try again is said as Retry-After, and in the trailing metadata in both ways that clients read."""
    collector.fail(Status(429, retry_after=retry_after))
    assert senders.post(collector, BODY).headers["Retry-After"] == header
    code, _, trailers, _ = senders.call(collector, BODY)
    plain = RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"])
    packed = RetryInfo()
    details = RpcStatus.FromString(trailers["grpc-status-details-bin"])
    assert details.details[0].Unpack(packed)
    assert (code.name, details.code) == ("UNAVAILABLE", 14)
    assert [info.retry_delay.ToTimedelta().total_seconds() for info in (plain, packed)] == [seconds] * 2


def test_a_status_may_have_a_body_and_a_grpc_code_of_its_own(collector: Collector) -> None:
    """A proxy's page, and a rate limit that gRPC calls RESOURCE_EXHAUSTED."""
    collector.fail(Status(429, body=b"slow down", message="rate limit exceeded", grpc_code="RESOURCE_EXHAUSTED"))
    assert senders.post(collector, BODY).content == b"slow down"
    code, details, _, _ = senders.call(collector, BODY)
    assert (code.name, details) == ("RESOURCE_EXHAUSTED", "rate limit exceeded")


def test_a_size_status_says_so_over_grpc(collector: Collector) -> None:
    """The 413 fault has the text by which clients know a request that is too large."""
    collector.fail(Status(413))
    assert senders.call(collector, BODY)[:2] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max")


def test_the_sdk_exporter_gets_through_after_two_failures(collector: Collector) -> None:
    """A real exporter that retries meets `times` faults and delivers the same bytes then."""
    collector.fail(Status(503, retry_after=0), times=2)
    exporter = OTLPSpanExporter(endpoint=collector.http_endpoint + "/v1/traces")
    assert exporter.export([senders.span()]).name == "SUCCESS"
    exporter.shutdown()
    assert [request.status for request in collector.requests] == [503, 503, 200]
    assert len({request.body for request in collector.requests}) == 1
    assert collector.spans == [senders.decoded_span()]


def test_faults_happen_in_order_and_for_their_signal(collector: Collector) -> None:
    """Each request meets the first fault that concerns it; healing takes the rest away."""
    collector.fail(Status(500), times=1, signal="logs")
    collector.fail(Status(503), times=1)
    collector.fail(Status(429))
    logs = senders.logs_body("x")
    answers = [
        senders.post(collector, BODY).status_code,
        senders.post(collector, logs, "logs").status_code,
        senders.post(collector, logs, "logs").status_code,
        senders.call(collector, BODY)[0].name,
    ]
    assert answers == [503, 500, 429, "UNAVAILABLE"]
    collector.heal()
    assert senders.post(collector, BODY).status_code == 200


def test_failing_lasts_as_long_as_its_block(collector: Collector) -> None:
    """The context manager takes away its own fault only, also when the block raises."""
    collector.fail(Status(500), signal="logs")
    answers = []

    def fail_inside() -> None:
        with collector.failing(Status(503), signal="traces"):
            answers.append(senders.post(collector, BODY).status_code)
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert answers == [503]
    assert senders.post(collector, BODY).status_code == 200
    assert senders.post(collector, b"", "logs").status_code == 500


def test_misuse_of_the_schedule_raises(collector: Collector) -> None:
    """What is no fault, no count and no signal is refused at the call."""
    bad: Any = Status
    with pytest.raises(
        TypeError, match=r"^fault must be an object with an apply method, such as Status\(503\), not <class"
    ):
        collector.fail(bad)
    with pytest.raises(ValueError, match=r"^times must be at least 1 or None, not 0$"):
        collector.fail(Status(503), times=0)
    with pytest.raises(ValueError, match=r"^signal must be 'traces', 'metrics', 'logs' or None, not 'spans'$"):
        collector.fail(Status(503), signal="spans")  # type: ignore[arg-type]  # what is refused
    with pytest.raises(ValueError, match=r"^accept=True needs after='body' or 'half_response'"):
        DropConnection("headers", accept=True)
    assert len(collector.faults) == 0


def test_a_poisoned_record_takes_its_whole_request_along(collector: Collector) -> None:
    """A request with a poisoned item is refused and leaves nothing behind; its neighbours alone are accepted."""
    collector.fail(Refuse(lambda item: item.body == "poison"))  # type: ignore[union-attr]  # only logs come
    assert senders.post(collector, senders.logs_body("a", "poison", "b"), "logs").status_code == 400
    assert senders.call(collector, senders.logs_body("poison"), "logs")[0].name == "INVALID_ARGUMENT"
    assert senders.post(collector, senders.logs_body("a", "b"), "logs").status_code == 200
    assert collector.messages == ["a", "b"]


@pytest.mark.parametrize("rejected", [1, lambda item: item.body == "a"])
def test_partial_success_stores_the_rest_and_says_so(collector: Collector, rejected: Any) -> None:
    """A number or a predicate rejects items; the others are stored, and the answer counts what was not."""
    collector.fail(PartialSuccess(rejected, "one too many"))
    body = senders.logs_body("a", "b", "c")
    answers = [senders.post(collector, body, "logs").content, senders.call(collector, body, "logs")[3]]
    expected = ExportLogsServiceResponse()
    expected.partial_success.rejected_log_records = 1
    expected.partial_success.error_message = "one too many"
    assert [ExportLogsServiceResponse.FromString(answer) for answer in answers] == [expected] * 2
    assert collector.messages == ["b", "c"] * 2


def test_partial_success_of_every_signal(collector: Collector) -> None:
    """Each signal counts its rejections in its own field, at most as many as there are; 0 is a warning."""
    collector.fail(PartialSuccess(99, "none"), times=2)
    collector.fail(PartialSuccess(0, "careful"))
    traces = ExportTraceServiceResponse.FromString(senders.post(collector, BODY).content)
    metrics = ExportMetricsServiceResponse.FromString(
        senders.post(collector, senders.metrics_body(), "metrics").content
    )
    warning = ExportTraceServiceResponse.FromString(senders.post(collector, BODY).content)
    assert traces.partial_success.rejected_spans == 1
    assert metrics.partial_success.rejected_data_points == 4
    assert (warning.partial_success.rejected_spans, warning.partial_success.error_message) == (0, "careful")
    assert collector.accepted == {"traces": 1, "metrics": 0, "logs": 0}


def test_a_fault_of_ones_own(collector: Collector) -> None:
    """Any object with `apply` is a fault; it sees the decoded request."""

    class OddOnly:
        def apply(self, call: Call) -> Answer:
            return call.accept() if len(call.items) % 2 else Answer(507, message=f"{call.signal}: even")

    collector.fail(OddOnly())
    answers = [senders.post(collector, senders.spans_body(*names)).status_code for names in ("a", "bc")]
    assert answers == [200, 507]


def test_a_fault_that_raises_is_an_internal_error(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    """A mistake in a test's own predicate is logged and answered, and does not hang the sender."""
    collector.fail(Refuse(lambda item: item.body == "x"))  # type: ignore[union-attr]  # only logs come
    answer = senders.post(collector, BODY)
    assert answer.status_code == 500
    assert b"a fault failed: AttributeError" in answer.content
    assert [record.message for record in caplog.records] == ["a fault failed"]
