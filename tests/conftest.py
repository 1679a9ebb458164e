"""What every test has: an environment without telemetry settings, and a journal directory of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def journal_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The journal directory, empty; nothing of the developer's shell gets in."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "SYNAPSE_", "RAY_JOB", "TRACE")):
            monkeypatch.delenv(name)
    path = tmp_path / "runs"
    monkeypatch.setenv("SYNAPSE_OTEL_JOURNAL_DIR", str(path))
    return path
