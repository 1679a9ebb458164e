"""What every test has: an environment without telemetry settings, and a journal directory of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["pytester"]

EXPECTED_SKIPS = (
    "rotel has a wheel for Linux on x86-64 with Python 3.11 and 3.12 only",
    "this version of the protocol has no profiles",
    "needs the docker client",
)
"""Why a test may be skipped in CI; any other skip there is a failure, because nobody would see it."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Turn a skip that nobody expects into a failure, in CI."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") and not any(reason in str(report.longrepr) for reason in EXPECTED_SKIPS):
        report.outcome = "failed"
        report.longrepr = f"an unexpected skip: {report.longrepr}"


@pytest.fixture(autouse=True)
def journal_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The journal directory, empty; nothing of the developer's shell gets in."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "SYNAPSE_", "RAY_JOB", "TRACE")):
            monkeypatch.delenv(name)
    path = tmp_path / "runs"
    monkeypatch.setenv("SYNAPSE_OTEL_JOURNAL_DIR", str(path))
    monkeypatch.setenv("SYNAPSE_OTEL_SHIPPER", "thread")  # in this process; tests/agent and tests/faults say otherwise
    return path
