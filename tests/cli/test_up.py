"""``up`` and ``down``, with the real docker client where what is missing is missing here, too.

There is no Docker engine where these tests run. What the commands ask of one that is there is seen through a small
program named ``docker``, first on the PATH, that writes down its arguments and gives the answers that it was told.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import synapse_otel
from cli.kit import Cli, Result
from synapse_otel.cli.compose import PORTS, configurations, taken_ports

FOLDER = configurations()
FILE = f"compose --file {FOLDER / 'compose.yaml'}"
CHECKS = ["version --format {{.Server.Version}}", "compose version"]

ALTERNATIVES = f"""

Without Docker:
  synapse-otel show --follow            a run, live, from its journal
  synapse-otel report RUN -o run.html   a run as a page
or a program of your own, the OpenTelemetry Collector or Jaeger:
  otelcol-contrib --config={FOLDER}/local.yaml
  jaeger --config={FOLDER}/jaeger-v2.yaml
"""

NOT_INSTALLED = """\
error: Docker is not installed: there is no docker on the PATH
Install it: https://docs.docker.com/get-docker/"""

NO_PLUGIN = """\
error: Docker is installed, but not its compose plugin: `docker compose version` fails
Install it: https://docs.docker.com/compose/install/"""

NEXT_STEPS = """\
Ready. What has this in its environment is shown there:
  export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318

  http://127.0.0.1:3000/d/synapse-runs   all runs, in Grafana
  http://127.0.0.1:16686                 their traces, in Jaeger

  synapse-otel push   sends the runs that are in the journal
  synapse-otel down   stops it; what was sent is kept
"""


@dataclass(frozen=True)
class Answer:
    """What ``docker`` does when it is called."""

    code: int = 0
    out: str = ""
    err: str = ""


class Docker:
    """A program named ``docker`` in a folder of its own."""

    def __init__(self, folder: Path, answers: Mapping[str, Answer]) -> None:
        self._log = folder / "calls"
        cases = [
            f"{shlex.quote(arguments)}) printf %s {shlex.quote(answer.out)}; "
            f"printf %s {shlex.quote(answer.err)} >&2; exit {answer.code};;"
            for arguments, answer in answers.items()
        ]
        program = folder / "docker"
        program.write_text(
            "\n".join(
                ["#!/bin/sh", f'echo "$*" >> {shlex.quote(str(self._log))}', 'case "$*" in', *cases, "esac"],
            )
        )
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._log.read_text().splitlines()


Dockers = Callable[..., Docker]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dockers:
    """Puts a ``docker`` on the PATH, and nothing else."""

    def put(answers: Mapping[str, Answer] | None = None) -> Docker:
        folder = tmp_path / "bin"
        folder.mkdir()
        monkeypatch.setenv("PATH", str(folder))
        return Docker(folder, answers or {})

    return put


@pytest.fixture
def no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves a PATH with nothing on it."""
    monkeypatch.setenv("PATH", str(tmp_path))


def test_without_docker_up_says_so_and_what_to_do_instead(no_docker: None, cli: Cli) -> None:
    """Where there is no Docker, `up` names what is missing, and the ways to see a run that need none."""
    assert cli("up") == Result(1, "", NOT_INSTALLED + ALTERNATIVES)


def test_without_docker_there_is_nothing_to_stop(no_docker: None, cli: Cli) -> None:
    """Where there is no Docker, `down` says just that."""
    assert cli("down") == Result(1, "", f"{NOT_INSTALLED}\n")


@pytest.mark.parametrize(("name", "more"), [("up", ALTERNATIVES), ("down", "\n")])
def test_without_an_engine_docker_s_own_reason_is_shown(
    name: str, more: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real client and no engine, the message has what the client says, and how an engine is started."""
    client = shutil.which("docker")
    if client is None:
        pytest.skip("needs the docker client")
    nobody = f"unix://{tmp_path / 'nobody.sock'}"
    said = subprocess.run(
        [client, "version", "--format", "{{.Server.Version}}"],
        env={**os.environ, "DOCKER_HOST": nobody},
        capture_output=True,
        text=True,
    ).stderr.strip()

    assert nobody in said
    monkeypatch.setenv("DOCKER_HOST", nobody)
    assert cli(name) == Result(
        1,
        "",
        f"error: Docker is installed, but no engine answers: {said}\n"
        f"Start Docker Desktop, or the service: sudo systemctl start docker{more}",
    )


def test_an_engine_that_is_not_for_this_user_is_not_said_to_be_stopped(docker: Dockers, cli: Cli) -> None:
    """Where the user may not use Docker, the advice is not to start it."""
    refused = "permission denied while trying to connect to the Docker daemon socket\n"
    docker({CHECKS[0]: Answer(1, err=refused)})

    assert cli("down") == Result(
        1,
        "",
        f"error: Docker is installed, but no engine answers: {refused}"
        "Let this user use it, then log in again: sudo usermod --append --groups docker $USER\n",
    )


def test_a_missing_compose_plugin_is_named(docker: Dockers, cli: Cli) -> None:
    """With an engine but no compose plugin, `up` says so, and nothing is started."""
    fake = docker({CHECKS[1]: Answer(1, err="docker: unknown command: docker compose\n")})

    assert cli("up") == Result(1, "", NO_PLUGIN + ALTERNATIVES)
    assert fake.calls == CHECKS


def test_a_port_that_is_taken_is_named_before_anything_is_started(docker: Dockers, cli: Cli) -> None:
    """While another program listens on a port that is needed, `up` names port and purpose, and downloads nothing."""
    fake = docker()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # it is taken already
            listener.bind(("127.0.0.1", 9090))
            listener.listen()
        taken = taken_ports()
        result = cli("up")

    assert 9090 in taken
    names = ", ".join(f"{port} ({PORTS[port]})" for port in taken)
    assert result == Result(
        1,
        "",
        f"error: another program listens on 127.0.0.1, on what is needed here: {names}\nStop it first{ALTERNATIVES}",
    )
    assert fake.calls == [*CHECKS, f"{FILE} ps --services"]


def test_up_starts_and_waits_and_says_how_to_go_on(docker: Dockers, cli: Cli) -> None:
    """`up` has Docker start everything and wait, then prints what to set and where to look; its own ports are fine."""
    fake = docker({f"{FILE} ps --services": Answer(out="jaeger\nlgtm\n")})

    assert cli("up") == Result(0, NEXT_STEPS, "")
    assert fake.calls == [*CHECKS, f"{FILE} ps --services", f"{FILE} up --detach --wait"]


def test_a_start_that_fails_shows_docker_s_reason(docker: Dockers, command: Cli) -> None:
    """When Docker cannot start it, its own words come first, then the command that failed, then the other ways."""
    starting = f"{FILE} up --detach --wait"
    docker(
        {f"{FILE} ps --services": Answer(out="lgtm\n"), starting: Answer(17, err="no space left on device\n")},
    )

    assert command("up") == Result(
        1,
        "",
        "no space left on device\n"
        f"error: docker {starting} failed with exit code 17; the reason is above{ALTERNATIVES}",
    )


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ([], "stopped; the data is kept for the next up (synapse-otel down --volumes deletes it)\n"),
        (["--volumes"], "stopped, and the data deleted\n"),
    ],
)
def test_down_keeps_the_data_unless_told_otherwise(option: list[str], said: str, docker: Dockers, cli: Cli) -> None:
    """`down` stops what `up` started; only with --volumes is the data deleted, and it says which."""
    fake = docker()

    assert cli("down", *option) == Result(0, said, "")
    assert fake.calls == [*CHECKS, " ".join([FILE, "down", *option])]


def test_a_package_that_docker_cannot_mount_from_is_refused(tmp_path: Path) -> None:
    """Imported from an archive, there are no files for Docker: that is said, with where the package is."""
    source = Path(synapse_otel.__file__).parent
    archive = shutil.make_archive(str(tmp_path / "package"), "zip", source.parent, source.name)
    done = subprocess.run(
        [sys.executable, "-c", "from synapse_otel.cli import main; main(['up'])"],
        env={**os.environ, "PYTHONPATH": archive},
        capture_output=True,
        text=True,
    )

    expected = (
        f"error: compose.yaml is not on the disk, where Docker could read it: {archive}/synapse_otel/ is incomplete"
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{expected}\n")
