"""The OpenTelemetry Collector on the configurations of this repository, unedited: variables give it free addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import trustme
import yaml

from backends.servers import Server, free_address, free_port, running
from synapse_otel.testing import Collector

FOLDER = Path(__file__).parents[2] / "collector-config"


def read(path: Path) -> dict[str, Any]:
    """Return a configuration as it is written, variables unexpanded."""
    loaded = yaml.safe_load(path.read_text())
    assert isinstance(loaded, dict)
    return loaded


def example(key: str) -> dict[str, Any]:
    """Return the YAML example of the folder's README that has `key` at its top."""
    blocks = re.findall(r"```yaml\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    (found,) = [content for block in blocks if key in (content := yaml.safe_load(block))]
    return dict(found)


def _is_the_collectors(path: Path) -> bool:
    """Jaeger is made of the Collector, so its own configuration has the same form."""
    content = read(path)
    return "pipelines" in content.get("service", {}) and "jaeger_storage" not in content.get("extensions", {})


CONFIGURATIONS = sorted(path for path in FOLDER.glob("*.yaml") if _is_the_collectors(path))


@dataclass(frozen=True)
class Otelcol:
    """A Collector that receives on free addresses.

    Args:
        server: Its process.
        grpc: Where it takes OTLP over gRPC.
        http: Where it takes OTLP over HTTP.
        scheme: `https` where it has a certificate.
        more: What its clients need beside the endpoint.
    """

    server: Server
    grpc: str
    http: str
    scheme: str = "http"
    more: Mapping[str, str] = field(default_factory=dict)

    def env(self, protocol: str) -> dict[str, str]:
        """Return the variables that point a run to it."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{self.scheme}://{self.grpc if protocol == 'grpc' else self.http}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            **self.more,
        }


@contextmanager
def collecting(program: Path, configuration: str, folder: Path, **environ: str) -> Iterator[Otelcol]:
    """Run the Collector on `configuration` until the block is left; `environ` are the configuration's variables."""
    grpc, http = free_address(), free_address()
    command = [program, f"--config={FOLDER / configuration}"]
    variables = {"OTLP_GRPC_ADDRESS": grpc, "OTLP_HTTP_ADDRESS": http, **environ}
    with running(Server(command, folder, [grpc, http], variables)) as server:
        yield Otelcol(server, grpc, http)


TOKEN = "made-up-token"
OLD_TOKEN = "made-up-token-of-last-month"


@dataclass(frozen=True)
class GatewayFiles:
    """What a gateway is given: tokens, a certificate and its key, a folder for its queue; and who signed."""

    tokens: Path
    certificate: Path
    key: Path
    queue: Path
    authority: Path

    @classmethod
    def create(cls, folder: Path, *names: str) -> GatewayFiles:
        """Write them; the certificate is for `names`."""
        folder.mkdir(parents=True, exist_ok=True)
        files = cls(*(folder / name for name in ("tokens", "gateway.crt", "gateway.key", "queue", "authority.crt")))
        authority = trustme.CA()
        issued = authority.issue_cert(*names)
        files.tokens.write_text(f"{TOKEN} of this month\n{OLD_TOKEN} of the last\n")
        files.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        files.key.write_bytes(issued.private_key_pem.bytes())
        files.authority.write_bytes(authority.cert_pem.bytes())
        return files

    def variables(self) -> dict[str, str]:
        """Return the variables of the configuration that name them."""
        return {
            "GATEWAY_TOKENS": str(self.tokens),
            "GATEWAY_CERTIFICATE": str(self.certificate),
            "GATEWAY_KEY": str(self.key),
            "GATEWAY_QUEUE": str(self.queue),
        }


@contextmanager
def gateway(program: Path, files: GatewayFiles, folder: Path, **environ: str) -> Iterator[Otelcol]:
    """Run the gateway until the block is left; clients know its authority and a token."""
    grpc, http = free_address(), free_address()
    command = [program, f"--config={FOLDER / 'gateway.yaml'}"]
    variables = {
        "OTLP_GRPC_ADDRESS": grpc,
        "OTLP_HTTP_ADDRESS": http,
        "GATEWAY_HEALTH_ADDRESS": free_address(),
        "GATEWAY_METRICS_PORT": str(free_port()),
        **files.variables(),
        **environ,
    }
    credentials = {
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {TOKEN}",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(files.authority),
    }
    health = f"http://{variables['GATEWAY_HEALTH_ADDRESS']}"
    with running(Server(command, folder, health, variables)) as server:
        yield Otelcol(server, grpc, http, "https", credentials)


def own_metrics(port: str, host: str = "127.0.0.1") -> list[str]:
    """Return what a gateway tells of itself, a line for each series with its value."""
    text = requests.get(f"http://{host}:{port}/metrics", timeout=5).text
    return [line for line in text.splitlines() if not line.startswith("#")]


def own_values(port: str, name: str) -> list[float]:
    """Return the values of a metric of the gateway itself."""
    return [float(line.rpartition(" ")[2]) for line in own_metrics(port) if line.startswith(f"{name}{{")]


@contextmanager
def gateway_before(
    far_end: Collector, program: Path, files: GatewayFiles, folder: Path, **environ: str
) -> Iterator[Otelcol]:
    """Run a gateway that sends all signals to one far end until the block is left."""
    endpoints = dict.fromkeys(("TRACES_ENDPOINT", "LOGS_ENDPOINT", "METRICS_ENDPOINT"), far_end.http_endpoint)
    with gateway(program, files, folder, **endpoints, **environ) as collector:
        yield collector
