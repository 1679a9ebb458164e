"""The doctor before a real gateway: it names the cause, and what to set; with the right settings all is well."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.otelcol import OLD_TOKEN, TOKEN, GatewayFiles, Otelcol, gateway_before
from cli.kit import program
from synapse_otel.testing import Collector

PROTOCOLS = pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
SIGNALS = ("Traces", "Metrics", "Logs")


@pytest.fixture(scope="module")
def running(otelcol: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Otelcol]:
    """A gateway whose certificate is for 127.0.0.1 alone."""
    folder = tmp_path_factory.mktemp("gateway")
    files = GatewayFiles.create(folder / "files", "127.0.0.1")
    with Collector() as far_end, gateway_before(far_end, otelcol, files, folder) as collector:
        yield collector


def doctor(collector: Otelcol, protocol: str, **environ: str) -> tuple[int, dict[str, list[str]]]:
    """Return the exit code of the real command, and what it says of each signal, without times."""
    done = subprocess.run(
        [program(), "doctor"],
        env={**os.environ, **collector.env(protocol), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert TOKEN not in done.stdout + done.stderr
    sections = {section.split("  ")[0]: section.splitlines()[1:] for section in done.stdout.split("\n\n")}
    return done.returncode, {
        signal: [re.sub(r"  [\d.]+ m?s$", "", line).strip() for line in sections[signal]] for signal in SIGNALS
    }


@PROTOCOLS
@pytest.mark.parametrize("token", [TOKEN, OLD_TOKEN], ids=["token of this month", "token of the last"])
def test_with_the_right_settings_all_is_well(running: Otelcol, protocol: str, token: str) -> None:
    """Every signal is taken, and the command exits with 0."""
    code, said = doctor(running, protocol, OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer%20{token}")
    assert (code, [said[signal][-1] for signal in SIGNALS]) == (0, ["✔ request     sent and taken"] * 3)


@PROTOCOLS
@pytest.mark.parametrize(
    ("headers", "answer", "advice"),
    [
        (
            "authorization=Bearer%20wrong",
            "provided authorization does not match expected scheme or token",
            "The server does not accept the credentials; OTEL_EXPORTER_OTLP_HEADERS sends: authorization. "
            "Complete, and not expired?",
        ),
        (
            f"authorization={TOKEN}",
            "provided authorization does not match expected scheme or token",
            "OTEL_EXPORTER_OTLP_HEADERS sends authorization without a scheme; "
            "usual is authorization, with the value Bearer%20TOKEN",
        ),
        (
            "",
            "missing or empty authorization header: Authorization",
            "No header is sent; set OTEL_EXPORTER_OTLP_HEADERS to the one that the server asks for; "
            "usual is authorization, with the value Bearer%20TOKEN",
        ),
    ],
    ids=["wrong", "without a scheme", "none"],
)
def test_a_token_that_is_not_accepted(running: Otelcol, protocol: str, headers: str, answer: str, advice: str) -> None:
    """The answer is named, with what the variable sends and what it should."""
    status = "gRPC UNAUTHENTICATED" if protocol == "grpc" else "HTTP 401"
    code, said = doctor(running, protocol, OTEL_EXPORTER_OTLP_HEADERS=headers)
    assert (code, [said[signal][-2:] for signal in SIGNALS]) == (1, [[f"✖ request     {status}: {answer}", advice]] * 3)


@PROTOCOLS
def test_a_certificate_of_an_authority_that_is_not_trusted(running: Otelcol, protocol: str) -> None:
    """The handshake is named as what fails, and the variable that takes the authority."""
    code, said = doctor(running, protocol, OTEL_EXPORTER_OTLP_CERTIFICATE="")
    assert (code, said["Traces"][2:]) == (
        1,
        [
            "✖ TLS         the authority that signed the server's certificate is not trusted: "
            "unable to get local issuer certificate",
            "It is not among those of this machine; "
            "set OTEL_EXPORTER_OTLP_CERTIFICATE to a file with the authority's certificate.",
        ],
    )


@PROTOCOLS
def test_a_certificate_of_another_host(running: Otelcol, protocol: str) -> None:
    """The name that was asked for is named, and that the endpoint needs another."""
    endpoint = running.env(protocol)["OTEL_EXPORTER_OTLP_ENDPOINT"].replace("127.0.0.1", "localhost")
    code, said = doctor(running, protocol, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert (code, said["Traces"][2:]) == (
        1,
        [
            "✖ TLS         the server's certificate is not for localhost: "
            "Hostname mismatch, certificate is not valid for 'localhost'.",
            "Use the name that the certificate was issued for in the endpoint.",
        ],
    )


@PROTOCOLS
def test_an_endpoint_without_encryption(running: Otelcol, protocol: str) -> None:
    """The endpoint to set is spelled out."""
    secure = running.env(protocol)["OTEL_EXPORTER_OTLP_ENDPOINT"]
    code, said = doctor(running, protocol, OTEL_EXPORTER_OTLP_ENDPOINT=secure.replace("https", "http"))
    port = secure.rpartition(":")[2]
    assert (code, said["Traces"][-2:]) == (
        1,
        [
            f"✖ request     port {port} speaks TLS, and the request is not encrypted",
            f"Set the endpoint to {secure}",
        ],
    )
