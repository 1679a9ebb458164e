from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
import requests
import trustme
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_traces
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_traces
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from synapse_otel.testing import Collector, ServerTLS
from testing import senders

HTTP = {
    "traces": http_traces.OTLPSpanExporter,
    "metrics": http_metrics.OTLPMetricExporter,
    "logs": http_logs.OTLPLogExporter,
}
GRPC = {
    "traces": grpc_traces.OTLPSpanExporter,
    "metrics": grpc_metrics.OTLPMetricExporter,
    "logs": grpc_logs.OTLPLogExporter,
}


@contextmanager
def exporting(exporter: Any) -> Iterator[Any]:
    try:
        yield exporter
    finally:
        exporter.shutdown()


def http_exporter(collector: Collector, signal: str, **kwargs: Any) -> Any:
    return HTTP[signal](endpoint=collector.http_endpoint + senders.PATHS[signal], **kwargs)


def grpc_exporter(collector: Collector, signal: str, **kwargs: Any) -> Any:
    return GRPC[signal](endpoint=collector.grpc_endpoint, **kwargs)


def send_everything(exporter: Callable[..., Any], collector: Collector, **kwargs: Any) -> list[str]:
    data = {"traces": [senders.span()], "metrics": senders.metrics(), "logs": [senders.log()]}
    results = []
    for signal, batch in data.items():
        with exporting(exporter(collector, signal, **kwargs)) as sender:
            results.append(sender.export(batch).name)
    return results


def received(collector: Collector) -> tuple[Any, ...]:
    return collector.spans, collector.points, collector.logs


EVERYTHING = ([senders.decoded_span()], senders.decoded_points(), [senders.decoded_log()])


@pytest.mark.parametrize(
    ("exporter", "compression"),
    [
        (http_exporter, Compression.NoCompression),
        (http_exporter, Compression.Gzip),
        (http_exporter, Compression.Deflate),
        (grpc_exporter, grpc.Compression.NoCompression),
        (grpc_exporter, grpc.Compression.Gzip),
        (grpc_exporter, grpc.Compression.Deflate),
    ],
)
def test_the_sdk_exporters_deliver_every_field(collector: Collector, exporter: Any, compression: Any) -> None:
    """What the SDK's exporters send arrives complete, over both protocols and with every compression."""
    assert send_everything(exporter, collector, compression=compression) == ["SUCCESS"] * 3
    assert received(collector) == EVERYTHING


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_env_points_an_sdk_here(protocol: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exporter that is configured by `env()` alone delivers, required headers included."""
    with Collector(headers={"Authorization": "Bearer a,b=c"}) as collector:
        for name, value in collector.env(protocol).items():
            monkeypatch.setenv(name, value)
        exporters = HTTP if protocol == "http/protobuf" else GRPC
        assert send_everything(lambda _, signal: exporters[signal](), collector) == ["SUCCESS"] * 3
        assert received(collector) == EVERYTHING
        assert {(request.protocol, request.status) for request in collector.requests} == {(protocol, 200)}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA, client_ca: bytes | None = None) -> ServerTLS:
    issued = authority.issue_cert("127.0.0.1")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    return ServerTLS(chain, issued.private_key_pem.bytes(), client_ca)


@pytest.fixture
def pem_files(authority: trustme.CA, tmp_path: Any) -> dict[str, str]:
    client = authority.issue_cert("client@example.org")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    client.private_key_pem.write_to_path(tmp_path / "client.key")
    return {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(tmp_path / "client.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(tmp_path / "client.key"),
    }


@pytest.mark.parametrize("exporter", [http_exporter, grpc_exporter])
@pytest.mark.parametrize("mutual", [False, True])
def test_tls_and_client_certificates(
    authority: trustme.CA, pem_files: dict[str, str], exporter: Any, mutual: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a certificate, and with one asked of the client, the exporters deliver over both protocols."""
    for name, value in pem_files.items():
        monkeypatch.setenv(name, value)
    tls = server_tls(authority, authority.cert_pem.bytes() if mutual else None)
    with Collector(tls=tls) as collector:
        assert collector.http_endpoint.startswith("https://127.0.0.1:")
        assert send_everything(exporter, collector) == ["SUCCESS"] * 3
        assert received(collector) == EVERYTHING


@pytest.mark.parametrize("exporter", [http_exporter, grpc_exporter])
def test_a_certificate_is_renewed_by_a_start(
    authority: trustme.CA, pem_files: dict[str, str], exporter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop and a start serve with the certificate that was set meanwhile, on the same ports."""
    for name, value in pem_files.items():
        monkeypatch.setenv(name, value)
    with Collector(tls=server_tls(trustme.CA())) as collector:
        endpoint = collector.http_endpoint
        with pytest.raises(requests.exceptions.SSLError):
            requests.post(
                f"{endpoint}/v1/traces", data=b"", verify=pem_files["OTEL_EXPORTER_OTLP_CERTIFICATE"], timeout=5
            )
        collector.stop()
        collector.tls = server_tls(authority)
        collector.start()
        assert collector.http_endpoint == endpoint
        assert send_everything(exporter, collector) == ["SUCCESS"] * 3
        assert received(collector) == EVERYTHING


def test_a_client_without_a_certificate_is_turned_away(authority: trustme.CA, pem_files: dict[str, str]) -> None:
    """Where a client certificate is asked for, none means no request at all."""
    ca = pem_files["OTEL_EXPORTER_OTLP_CERTIFICATE"]
    with Collector(tls=server_tls(authority, authority.cert_pem.bytes())) as collector:
        with pytest.raises(requests.ConnectionError):
            requests.post(collector.http_endpoint + "/v1/traces", data=b"", verify=ca, timeout=5)
        with pytest.raises(requests.ConnectionError):
            requests.post(collector.http_endpoint.replace("https", "http") + "/v1/traces", data=b"", timeout=5)
        assert collector.requests == []


def test_deflate_with_and_without_the_zlib_header(collector: Collector) -> None:
    """Both things that clients call deflate are understood, and gzip in several members."""
    body = senders.spans_body("a")
    raw = zlib.compressobj(wbits=-15)
    half = len(body) // 2
    bodies = {
        "deflate": [zlib.compress(body), raw.compress(body) + raw.flush()],
        "gzip": [gzip.compress(body), gzip.compress(body[:half]) + gzip.compress(body[half:])],
        "identity": [body],
    }
    answers = [
        senders.post(collector, packed, Content_Encoding=encoding).status_code
        for encoding, packeds in bodies.items()
        for packed in packeds
    ]
    assert answers == [200] * 5
    assert {request.body for request in collector.requests} == {body}
    assert collector.spans == [senders.decoded_span("a")] * 5


@pytest.mark.parametrize(
    ("headers", "body", "status", "message"),
    [
        ({"Content_Encoding": "br"}, b"", 415, "Content-Encoding 'br' is none of gzip, deflate, identity"),
        (
            {"Content_Type": "application/json"},
            b"{}",
            415,
            "Content-Type 'application/json' is not application/x-protobuf",
        ),
        (
            {"Content_Encoding": "gzip"},
            gzip.compress(b"x")[:-4],
            400,
            "the body cannot be decompressed: it ends too early",
        ),
        ({}, b"\xff", 400, "the body is no ExportTraceServiceRequest: "),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    collector: Collector, headers: dict[str, str], body: bytes, status: int, message: str
) -> None:
    """Unknown encodings and types, damaged bodies: an error that says so, and the connection lives on."""
    with requests.Session() as session:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("Content-Type", "application/x-protobuf")
        url = collector.http_endpoint + "/v1/traces"
        answer = session.post(url, data=body, headers=named, timeout=5)
        assert answer.status_code == status
        assert message.encode() in answer.content
        named = {"Content-Type": "application/x-protobuf"}
        assert session.post(url, data=senders.spans_body("a"), headers=named, timeout=5).status_code == 200
    assert [request.status for request in collector.requests] == [status, 200]


def test_a_damaged_protobuf_is_refused_over_grpc(collector: Collector) -> None:
    """Bytes that are no request get INVALID_ARGUMENT."""
    code, details, _, _ = senders.call(collector, b"\xff")
    assert (code.name, details[:39]) == ("INVALID_ARGUMENT", "the body is no ExportTraceServiceReques")


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_an_empty_request_is_accepted(collector: Collector, signal: str) -> None:
    """A request without items is answered with an empty success, as OTLP asks."""
    assert senders.post(collector, b"", signal).content == b""
    assert senders.call(collector, b"", signal)[0] == grpc.StatusCode.OK


def test_a_point_without_a_value_is_nan(collector: Collector) -> None:
    """The staleness marker of a series arrives as NaN and metrics without data as nothing."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    metric.gauge.data_points.add(flags=1)
    request.resource_metrics[0].scope_metrics[0].metrics.add(name="empty")
    senders.post(collector, request.SerializeToString(), "metrics")
    assert [(point.metric, math.isnan(point.value)) for point in collector.points] == [("m", True)]
    assert collector.accepted == {"traces": 0, "metrics": 1, "logs": 0}
