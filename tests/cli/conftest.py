from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cli.kit import Result, program
from synapse_otel.agent.state import agents
from synapse_otel.cli import main
from synapse_otel.testing import Collector


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("COLUMNS", "FORCE_COLOR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(params=["thread", "agent"])
def shipper(request: pytest.FixtureRequest, journal_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Each way of shipping; an agent does not outlive the test."""
    monkeypatch.setenv("SYNAPSE_OTEL_SHIPPER", request.param)
    monkeypatch.setenv("SYNAPSE_OTEL_AGENT_IDLE", "0.5")
    yield request.param
    for agent in agents(journal_dir):
        with suppress(ProcessLookupError):
            os.kill(agent.pid, signal.SIGKILL)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Executes a command in this process."""

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        captured = capsys.readouterr()
        assert isinstance(exit_.value.code, int)
        return Result(exit_.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Result]:
    """Executes the installed command in a process of its own, in the test's directory."""

    def run(*arguments: str, **environ: str) -> Result:
        done = subprocess.run(
            [program(), *arguments],
            cwd=tmp_path,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run
