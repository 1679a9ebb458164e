"""TLS, headers, compression: what the standard variables say is what the receiver sees."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from synapse_otel import RuntimeContext
from synapse_otel.testing import Collector, ServerTLS


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA, *names: str, client_ca: bytes | None = None) -> ServerTLS:
    issued = authority.issue_cert(*names)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    return ServerTLS(chain, issued.private_key_pem.bytes(), client_ca)


def point_to(collector: Collector, protocol: str, monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    for name, value in {**collector.env(protocol), **more}.items():  # type: ignore[arg-type]  # values by name
        monkeypatch.setenv(name, value)


def test_tls_with_an_own_authority(
    protocol: str, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTEL_EXPORTER_OTLP_CERTIFICATE names the authority that is trusted."""
    certificate = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(certificate))
    with Collector(tls=server_tls(authority, "127.0.0.1", "localhost")) as collector:
        point_to(collector, protocol, monkeypatch, OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificate))
        with RuntimeContext.open("job-1") as ctx:
            ctx.log_message("secret")
            assert ctx.flush(10)
    assert collector.messages == ["secret"]


def test_mutual_tls(protocol: str, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client certificate is presented to a receiver that asks for one."""
    certificate, own, key = (tmp_path / name for name in ("ca.pem", "client.pem", "client.key"))
    authority.cert_pem.write_to_path(str(certificate))
    issued = authority.issue_cert("client")
    issued.cert_chain_pems[0].write_to_path(str(own))
    issued.private_key_pem.write_to_path(str(key))
    tls = server_tls(authority, "127.0.0.1", "localhost", client_ca=authority.cert_pem.bytes())
    with Collector(tls=tls) as collector:
        point_to(
            collector,
            protocol,
            monkeypatch,
            OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificate),
            OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(own),
            OTEL_EXPORTER_OTLP_CLIENT_KEY=str(key),
        )
        with RuntimeContext.open("job-1") as ctx:
            ctx.log_message("secret")
            assert ctx.flush(10)
    assert collector.messages == ["secret"]


def test_an_untrusted_receiver_gets_nothing(
    protocol: str, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a trusted certificate nothing is sent, and nothing is lost."""
    monkeypatch.setenv("SYNAPSE_OTEL_FINISH_TIMEOUT", "0.3")
    with Collector(tls=server_tls(authority, "127.0.0.1")) as collector:
        point_to(collector, protocol, monkeypatch)
        with RuntimeContext.open("job-1") as ctx:
            ctx.log_message("secret")
            assert not ctx.flush(1)
            assert ctx.report().pending == 2
    assert collector.requests == []


def test_headers_are_sent(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that asks for a token takes a run that was given one."""
    with Collector(headers={"authorization": "Bearer made-up", "x-tenant": "a b"}) as collector:
        point_to(collector, protocol, monkeypatch)
        with RuntimeContext.open("job-1") as ctx:
            ctx.log_message("hello")
            assert ctx.flush(10)
    assert collector.messages == ["hello"]


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_compression(protocol: str, compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are compressed as the environment says."""
    with Collector() as collector:
        point_to(collector, protocol, monkeypatch, OTEL_EXPORTER_OTLP_COMPRESSION=compression)
        with RuntimeContext.open("job-1") as ctx:
            ctx.log_message("hello")
            assert ctx.flush(10)
        assert collector.messages == ["hello"]
        if protocol == "http/protobuf":
            assert {request.headers["content-encoding"] for request in collector.requests} == {compression}


def test_each_signal_can_go_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Per-signal endpoints and protocols win over the common ones, and a signal that is off is not sent."""
    with Collector() as traces, Collector() as logs:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{traces.http_endpoint}/v1/traces")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", logs.grpc_endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc")
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
        with RuntimeContext.open("job-1") as ctx:
            ctx.log_message("hello")
            ctx.set_metrics({"loss": 1.0}, "training")
            assert ctx.flush(10)
    assert {request.signal for request in traces.requests} == {"traces"}
    assert {(request.signal, request.protocol) for request in logs.requests} == {("logs", "grpc")}


def test_an_endpoint_that_is_away_holds_up_only_its_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traces and metrics arrive while the endpoint of the logs is down."""
    monkeypatch.setenv("SYNAPSE_OTEL_FINISH_TIMEOUT", "0.3")
    with Collector() as collector, Collector() as away:
        away.stop()
        point_to(collector, "http/protobuf", monkeypatch)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{away.http_endpoint}/v1/logs")
        with RuntimeContext.open("job-1") as ctx:
            ctx.set_metrics({"loss": 1.0}, "training")
            collector.wait_for(lambda c: c.points_of("synapse.metric.loss") and c.span("run started"))


def test_the_console_exporter_prints(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """OTEL_LOGS_EXPORTER=console prints the log records, and counts them as delivered."""
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "console")
    with RuntimeContext.open("job-1") as ctx:
        ctx.log_message("hello")
        assert ctx.flush(10)
    assert '"body": "hello"' in capfd.readouterr().out


def test_nothing_is_recorded_where_the_sdk_is_disabled(monkeypatch: pytest.MonkeyPatch, journal_dir: Path) -> None:
    """OTEL_SDK_DISABLED=true turns recording off; misuse still raises."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with RuntimeContext.open("job-1") as ctx:
        ctx.log_message("hello")
        with pytest.raises(ValueError, match="total must be"):
            ctx.set_progress(1, 0)
    assert not journal_dir.exists()


def test_a_certificate_that_cannot_be_read_harms_nobody(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The run goes on, a person is told, and the next start with a mended configuration delivers all."""
    monkeypatch.setenv("SYNAPSE_OTEL_FINISH_TIMEOUT", "0.3")
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    with Collector() as collector:
        point_to(collector, protocol, monkeypatch, OTEL_EXPORTER_OTLP_CERTIFICATE=str(broken))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.http_endpoint.replace("http:", "https:"))
        with RuntimeContext.open("job-1") as ctx:
            ctx.log_message("hello")
            assert not ctx.flush(1)
        assert caplog.records
        point_to(collector, protocol, monkeypatch)
        monkeypatch.delenv("OTEL_EXPORTER_OTLP_CERTIFICATE")
        with RuntimeContext.open("job-2"):
            collector.wait_for(lambda c: c.messages == ["hello"])


def test_a_header_that_cannot_be_sent_harms_nobody(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a client makes of an odd header, the run goes on and its records are kept."""
    monkeypatch.setenv("SYNAPSE_OTEL_FINISH_TIMEOUT", "0.3")
    with Collector() as collector:
        point_to(collector, protocol, monkeypatch, OTEL_EXPORTER_OTLP_HEADERS="x-odd=%E2%82%AC%0A")
        with RuntimeContext.open("job-1") as ctx:
            ctx.log_message("hello")
            ctx.flush(1)
            assert ctx.report().dropped == 0
