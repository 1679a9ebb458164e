"""The compose file as the Compose Specification's own parser reads it, and what its containers would see.

There is no Docker engine where the tests run. So the files that a container would see are laid out in a folder, for the
same programs that are in the images.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from backends import programs
from backends.servers import Server, free_address, running

FOLDER = Path(__file__).parents[2] / "collector-config"
FILE = FOLDER / "compose.yaml"

# Where the Collector of the image is given its configuration, and where ours is added.
COLLECTOR_CONFIGURATIONS = ("/otel-lgtm/otelcol-config.yaml", "/otel-lgtm/otelcol-overlay.yaml")


def parse(file: Path) -> subprocess.CompletedProcess[str]:
    """Have a compose file parsed; the output is JSON."""
    try:
        parser = programs.COMPOSE_SPEC.find()
    except programs.MissingProgramError as error:
        pytest.skip(str(error))
    return subprocess.run([parser, "--format", "json", file], cwd=file.parent, capture_output=True, text=True)


@cache
def services() -> dict[str, dict[str, Any]]:
    """Return the services of our compose file, with absolute paths and all defaults."""
    parsed = parse(FILE)
    assert parsed.returncode == 0, parsed.stderr
    return dict(json.loads(parsed.stdout)["services"])


def mounts() -> list[dict[str, Any]]:
    """Return what the services mount from the host."""
    return [mount for name in services() for mount in _mounts(name)]


def lay_out(service: str, root: Path) -> Path:
    """Copy what a service mounts to where it would be, below `root`."""
    for mount in _mounts(service):
        source, target = Path(mount["source"]), inside(root, mount["target"])
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return root


def inside(root: Path, path: str) -> Path:
    """Return where a path of a container is, below `root`."""
    return root / path.removeprefix("/")


def collector_arguments(root: Path) -> list[str]:
    """Return the arguments of the image's Collector."""
    return [f"--config=file:{inside(root, file)}" for file in COLLECTOR_CONFIGURATIONS]


@contextmanager
def running_collector(program: Path, root: Path, stores: str, jaeger: str) -> Iterator[str]:
    """Run a Collector as its container would, until the block is left; yields where it takes OTLP over HTTP.

    Args:
        root: An empty folder.
        stores: Where it sends to instead of Prometheus, Tempo and Loki.
        jaeger: And instead of Jaeger.
    """
    endpoint, health = free_address(), free_address()
    environ = services()["lgtm"]["environment"] | {
        "OTLP_GRPC_ADDRESS": free_address(),
        "OTLP_HTTP_ADDRESS": endpoint,
        "HEALTH_ADDRESS": health,
        "METRICS_ENDPOINT": stores,
        "TEMPO_ENDPOINT": stores,
        "LOKI_ENDPOINT": stores,
        "JAEGER_ENDPOINT": jaeger,
    }
    command = [program, *collector_arguments(lay_out("lgtm", root))]
    with running(Server(command, root, f"http://{health}/ready", environ)):
        yield f"http://{endpoint}"


def _mounts(service: str) -> list[dict[str, Any]]:
    return [mount for mount in services()[service]["volumes"] if mount["type"] == "bind"]
