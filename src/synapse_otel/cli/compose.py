"""Docker Compose, for ``up`` and ``down``: what it needs, and what is said when that is missing."""

from __future__ import annotations

import shutil
import socket
import subprocess
from importlib.resources import files
from pathlib import Path

from synapse_otel.cli.errors import FAILED, CliError

PORTS = {
    3000: "Grafana",
    4317: "OTLP over gRPC",
    4318: "OTLP over HTTP",
    9090: "Prometheus",
    16686: "Jaeger",
}
"""What compose.yaml opens on 127.0.0.1."""


class Compose:
    """The services of a compose.yaml, through ``docker compose``.

    Args:
        folder: Where it is.

    Raises:
        CliError: If there is no Docker, no engine that runs, or no compose plugin.
    """

    def __init__(self, folder: Path) -> None:
        docker = shutil.which("docker")
        if docker is None:
            raise CliError(
                "Docker is not installed: there is no docker on the PATH\nInstall it: https://docs.docker.com/get-docker/",
                FAILED,
            )
        self._docker = docker
        self._command = ["compose", "--file", str(folder / "compose.yaml")]
        self._check_engine()
        self._check_plugin()

    def is_running(self) -> bool:
        """Return whether a service runs."""
        return bool(self._run(*self._command, "ps", "--services").stdout.strip())

    def run(self, *arguments: str) -> None:
        """Run a command of ``docker compose``, which says itself what it does.

        Raises:
            CliError: If it fails.
        """
        command = [*self._command, *arguments]
        if code := self._run(*command, quiet=False).returncode:
            raise CliError(f"docker {' '.join(command)} failed with exit code {code}; the reason is above", FAILED)

    def _check_engine(self) -> None:
        asked = self._run("version", "--format", "{{.Server.Version}}")
        if asked.returncode == 0:
            return
        reason = asked.stderr.strip() or asked.stdout.strip()
        advice = "Start Docker Desktop, or the service: sudo systemctl start docker"
        if "permission denied" in reason.lower():
            advice = "Let this user use it, then log in again: sudo usermod --append --groups docker $USER"
        raise CliError(f"Docker is installed, but no engine answers: {reason}\n{advice}", FAILED)

    def _check_plugin(self) -> None:
        if self._run("compose", "version").returncode:
            raise CliError(
                "Docker is installed, but not its compose plugin: `docker compose version` fails\n"
                "Install it: https://docs.docker.com/compose/install/",
                FAILED,
            )

    def _run(self, *arguments: str, quiet: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - the user's docker, with arguments that are written here
            [self._docker, *arguments], stdin=subprocess.DEVNULL, capture_output=quiet, text=True, check=False
        )


def configurations() -> Path:
    """Return the folder with compose.yaml and what it mounts: the wheel's, or that of the checkout.

    Raises:
        CliError: If they are not files on the disk, which Docker could mount.
    """
    package = files("synapse_otel")
    if isinstance(package, Path):
        for folder in (package / "collector_config", package.parents[1] / "collector-config"):
            if (folder / "compose.yaml").is_file():
                return folder
    raise CliError(f"compose.yaml is not on the disk, where Docker could read it: {package} is incomplete", FAILED)


def taken_ports() -> list[int]:
    """Return those of the ports that somebody listens on."""
    return [port for port in PORTS if _is_taken(port)]


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # A connection that has just ended does not take a port; somebody who listens does, with this option too.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
