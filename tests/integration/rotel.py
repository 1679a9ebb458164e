"""Runs rotel, a collector that others wrote, as a process on loopback."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from synapse_otel.testing import Collector


@dataclass(frozen=True)
class Rotel:
    """The addresses that rotel receives on."""

    http: str
    grpc: str

    def env(self, protocol: str) -> dict[str, str]:
        """Return the variables that point to it."""
        endpoint = self.http if protocol == "http/protobuf" else self.grpc
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{endpoint}", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}


def binary() -> Path | None:
    """Return the binary in the installed wheel, None where the wheel is not installed."""
    spec = importlib.util.find_spec("rotel")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "rotel-agent"


@contextmanager
def running(target: Collector, protocol: str, folder: Path) -> Iterator[Rotel]:
    """Run rotel, which forwards everything to `target` over `protocol`, until the block is left."""
    found = binary()
    assert found is not None
    program = folder / "rotel"
    shutil.copy(found, program)  # the wheel may have lost the permission to execute it
    program.chmod(0o755)
    rotel = Rotel(f"127.0.0.1:{_free_port()}", f"127.0.0.1:{_free_port()}")
    endpoint = target.http_endpoint if protocol == "http/protobuf" else target.grpc_endpoint
    command = [
        str(program),
        "start",
        f"--otlp-http-endpoint={rotel.http}",
        f"--otlp-grpc-endpoint={rotel.grpc}",
        "--exporter=otlp",
        f"--otlp-exporter-endpoint={endpoint}",
        f"--otlp-exporter-protocol={'http' if protocol == 'http/protobuf' else 'grpc'}",
        "--batch-timeout=50ms",
        f"--pid-file={folder / 'rotel.pid'}",
        f"--log-file={folder / 'rotel.log'}",
    ]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    process = subprocess.Popen(command, env=environ, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        _wait_for_port(rotel.http, process)
        _wait_for_port(rotel.grpc, process)
        yield rotel
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(address: str, process: subprocess.Popen[bytes]) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        assert process.poll() is None, f"rotel ended: {process.communicate()[0]!r}"
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"rotel does not listen on {address}")
