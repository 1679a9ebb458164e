"""The process of a Ray job: ``python -m synapse_sdk.plugins.entrypoint``, started instrumented."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sdk.arrived import roots, run_of
from synapse_otel.testing import Collector

INSTRUMENT = str(Path(sys.executable).parent / "opentelemetry-instrument")


def start(entrypoint: str, env: dict[str, str], **variables: str) -> subprocess.Popen[str]:
    wanted = {"SYNAPSE_ACTION_ENTRYPOINT": entrypoint, "SYNAPSE_ACTION_PARAMS": '{"epochs": 2}', **variables}
    command = [INSTRUMENT, sys.executable, "-m", "synapse_sdk.plugins.entrypoint"]
    return subprocess.Popen(command, env={**env, **wanted}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("entrypoint", "code", "root"),
    [
        ("plugins.Train", 0, ("train", "ok", "train", "neural_net", "completed")),
        ("plugins.Broken", 1, ("broken", "error", "broken", None, "failed")),
        ("plugins.Absent", 1, ("Absent", "error", None, None, "failed")),
        ("nowhere.Train", 1, ("Train", "error", None, None, "failed")),
    ],
)
def test_the_process_is_the_run(
    entrypoint: str, code: int, root: tuple[str, ...], collector: Collector, child_env: dict[str, str]
) -> None:
    """An action that fails, and one that cannot even be imported, is a failed run with the reason."""
    process = start(entrypoint, child_env, SYNAPSE_JOB_ID="job-e")
    process.communicate()
    assert process.returncode == code
    assert roots(collector) == [root]
    run = run_of(collector, root[0])
    assert run.resource["job_id"] == "job-e"
    reasons = {
        "plugins.Train": "",
        "plugins.Broken": "ValueError: a made-up error",
        "plugins.Absent": "AttributeError: module 'plugins' has no attribute 'Absent'",
        "nowhere.Train": "ModuleNotFoundError: No module named 'nowhere'",
    }
    assert run.status_message == reasons[entrypoint]


def test_a_job_that_is_killed_is_shown_as_crashed_by_the_next(collector: Collector, child_env: dict[str, str]) -> None:
    """What it had reported arrives, and its run is closed."""
    process = start("plugins.Endless", child_env, RAY_JOB_ID="job-k")
    assert collector.wait_for(lambda c: any(r.body == "started" for r in c.logs), timeout=30)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    start("plugins.Train", child_env, RAY_JOB_ID="job-n").communicate()
    assert collector.wait_for(lambda c: len(roots(c)) == 2)
    run = run_of(collector, "endless")
    assert (run.resource["job_id"], run.attributes["synapse.run.status"]) == ("job-k", "crashed")


def test_a_process_that_is_no_plugin_pays_little(child_env: dict[str, str]) -> None:
    """Instrumenting imports neither the SDK nor Ray nor what ships."""
    code = "import sys; print([m for m in ('synapse_sdk', 'ray', 'requests', 'grpc', 'pydantic') if m in sys.modules])"
    began = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", f"from synapse_otel.sdk.ray import worker_process_setup_hook as hook; hook(); {code}"],
        env=child_env,
        capture_output=True,
        text=True,
    )
    assert (result.stdout, result.stderr) == ("[]\n", "")
    assert time.monotonic() - began < 30
