"""Ray, really: local clusters with workers that report at the same time, are idle, fail and are killed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sdk.arrived import roots, run_of
from sdk.ray_plugins import KILLED_AFTER, REPORTS
from synapse_otel.testing import Collector, Span

INSTRUMENT = str(Path(sys.executable).parent / "opentelemetry-instrument")


@pytest.fixture
def ray_env(child_env: dict[str, str], journal_dir: Path) -> dict[str, str]:
    """Ray finds this Python, and says nothing that is not asked for.

    Its node ends itself when one of its own processes takes more than 30 seconds to start, as on a very busy machine.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), child_env["PATH"]])
    ray = {"ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "USAGE_STATS_ENABLED": "0", "agent_register_timeout_ms": "120000"}
    return {**child_env, "PATH": path, **{f"RAY_{name}": value for name, value in ray.items()}}


def run(code: str, env: dict[str, str], *command: str) -> str:
    result = subprocess.run(
        [*command, sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=240
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return result.stdout


def workers(collector: Collector) -> list[Span]:
    return [s for s in collector.spans if "synapse.worker" in s.attributes and "synapse.run.status" in s.attributes]


def test_workers_that_report_at_once_are_one_run_and_the_killed_one_is_seen(
    collector: Collector, ray_env: dict[str, str]
) -> None:
    """An unchanged plugin, started with OpenTelemetry's command: one trace, one job, and not one report is missing."""
    code = (
        "import ray_plugins; from synapse_sdk.plugins.executors.local import LocalExecutor;"
        "print(LocalExecutor(job_id='job-ray').execute(ray_plugins.Distributed, {}))"
    )
    assert "{'done': [0, 1, 2]}" in run(code, ray_env, INSTRUMENT)
    assert run_of(collector, "distributed").attributes["synapse.run.status"] == "completed"
    found = workers(collector)
    assert sorted((span.status, span.attributes["synapse.run.status"]) for span in found) == [
        ("error", "crashed"),
        ("ok", "completed"),
        ("ok", "completed"),
        ("ok", "completed"),
    ]
    assert {span.parent_span_id for span in found} == {run_of(collector, "distributed").span_id}
    items = (*collector.spans, *collector.logs)
    assert {item.trace_id for item in items} == {items[0].trace_id}
    assert {item.resource["job_id"] for item in (*items, *collector.points)} == {"job-ray"}
    reported = {rank: KILLED_AFTER if rank == 3 else REPORTS for rank in range(4)}
    # The request that was under way when the worker was killed is sent again, the same to the last byte.
    points = {
        (p.resource["service.instance.id"], p.time_ns, p.value) for p in collector.points_of("synapse.metric.loss")
    }
    losses = sorted(value for _, _, value in points)
    assert losses == [1000 * rank + step for rank, count in reported.items() for step in range(count)]
    said = {r.attributes["log.record.uid"]: r.body for r in collector.logs if r.event_name == "synapse.message"}
    messages = sorted(body for body in said.values() if ":" in body)
    assert messages == sorted(f"{rank}: {step}" for rank, count in reported.items() for step in range(count))
    assert len({instance for instance, _, _ in points}) == 4
    crashed = next(span for span in found if span.status == "error")
    assert crashed.status_message == "the process died without ending the run"


def test_actors_and_their_failures(collector: Collector, ray_env: dict[str, str]) -> None:
    """The setup hook instruments workers: an idle actor that Ray ends has completed, one that failed has failed."""
    code = """
import ray, time
from synapse_otel.sdk import SynapseInstrumentor, propagation_env
SynapseInstrumentor().instrument()
from synapse_sdk.loggers import NoOpLogger
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from ray_plugins import Scorer, alone
ctx = RuntimeContext(NoOpLogger(), PluginEnvironment({}), "job-a")
ctx.log_message("driver")
ray.init(num_cpus=4, include_dashboard=False, logging_level="error", log_to_driver=False, runtime_env={
    "worker_process_setup_hook": "synapse_otel.sdk.worker_process_setup_hook", "env_vars": propagation_env(ctx)})
good, bad = Scorer.remote(ctx), Scorer.remote(ctx)
print(ray.get([good.score.remote(1), good.score.remote(2), good.later.remote(3), alone.remote(4)]))
print(ray.get(bad.score.remote(5)))
time.sleep(1.2)  # long enough for the runs at rest to be ended
print([ray.get(item) for item in good.stream.options(num_returns="streaming").remote(3)])
try:
    ray.get(bad.fail.remote())
except ValueError as error:
    print("failed")
ray.kill(good)
ctx.logger.finish()
"""
    assert run(code, ray_env) == "[1, 2, 3, 4]\n5\n[0, 1, 2]\nfailed\n"
    # Once by their ids: the request that was under way when Ray killed the actor is sent again by the driver.
    said = {r.attributes["log.record.uid"]: r.body for r in collector.logs if r.event_name == "synapse.message"}
    assert sorted(said.values()) == [
        *("about to fail", "alone 4", "driver", "later 3", "scored 1", "scored 2", "scored 5"),
        *("streamed 0", "streamed 1", "streamed 2"),
    ]
    by_instance = {
        span.resource["service.instance.id"]: span.attributes["synapse.run.status"] for span in workers(collector)
    }
    status = {
        record.body: by_instance.get(record.resource["service.instance.id"])
        for record in collector.logs
        if record.event_name == "synapse.message" and record.body != "driver"
    }
    assert status == {
        "scored 1": "completed",
        "scored 2": "completed",
        "later 3": "completed",
        "alone 4": "completed",
        "scored 5": "completed",  # a run at rest is ended, and what comes later is another one in the same trace
        "about to fail": "failed",
        "streamed 0": "completed",
        "streamed 1": "completed",
        "streamed 2": "completed",
    }
    assert {item.resource["job_id"] for item in (*collector.spans, *collector.logs)} == {"job-a"}
    assert len({span.trace_id for span in collector.spans}) == 1


def test_the_actor_executor(collector: Collector, ray_env: dict[str, str]) -> None:
    """What the SDK starts from an instrumented process is instrumented: a run per action in the one actor."""
    code = """
from synapse_otel.sdk import SynapseInstrumentor
SynapseInstrumentor().instrument()
import ray
ray.init(num_cpus=2, include_dashboard=False, logging_level="error", log_to_driver=False)
from synapse_sdk.plugins.executors.ray.task import RayActorExecutor
from synapse_sdk.plugins.runner import ExecutionMode, run_plugin
from plugins import Train
executor = RayActorExecutor(job_id="job-x", env={"WITHOUT": "the environment"})
env = {"WITHOUT": "the environment"}
print(run_plugin("plugins", "train", {"epochs": 2}, mode=ExecutionMode.TASK, action_cls=Train, job_id="job-x", env=env))
try:
    executor.execute("plugins.Broken", {})
except Exception as error:
    print(type(error).__name__)
executor.shutdown()
"""
    assert run(code, ray_env).splitlines()[-1] == "ExecutionError"
    assert collector.wait_for(lambda c: len(roots(c)) == 2)
    assert roots(collector) == [
        ("train", "ok", "train", "neural_net", "completed"),
        ("broken", "error", "broken", None, "failed"),
    ]
    assert {span.resource["job_id"] for span in collector.spans} == {"job-x"}


def test_a_ray_job(collector: Collector, ray_env: dict[str, str]) -> None:
    """What is submitted through Ray's Jobs API from an instrumented process is a run of its own, with its job."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"""
from synapse_otel.sdk import SynapseInstrumentor
SynapseInstrumentor().instrument()
import os, ray
ray.init(num_cpus=2, include_dashboard=True, dashboard_host="127.0.0.1", dashboard_port={port},
         logging_level="error", log_to_driver=False)
from synapse_sdk.plugins.executors.ray.jobs_api import RayJobsApiExecutor
executor = RayJobsApiExecutor(
    dashboard_address="http://127.0.0.1:{port}", env={{"PYTHONPATH": os.environ["PYTHONPATH"]}})
job = executor.submit("plugins.Train", {{"epochs": 2}}, job_id="job-y")
print(executor.wait(job, timeout_seconds=120))
"""
    assert run(code, ray_env).splitlines()[-1] == "SUCCEEDED"
    assert collector.wait_for(lambda c: len(roots(c)) == 1)
    assert roots(collector) == [("train", "ok", "train", "neural_net", "completed")]
    assert {span.resource["job_id"] for span in collector.spans} == {"job-y"}


def test_trials_of_a_tuning_are_runs_inside_its_run(
    collector: Collector, ray_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray Tune, really: each trial has its id and every sample of its own, in the trace of the search."""
    shutil.copy(Path(__file__).parent / "tune_plugin.py", tmp_path)
    monkeypatch.chdir(tmp_path)  # which the SDK sends to the workers
    code = """
from synapse_otel.sdk import SynapseInstrumentor
SynapseInstrumentor().instrument()
from synapse_sdk.loggers import NoOpLogger
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from tune_plugin import Search
Search.dispatch(
    {
        "dataset": 1,
        "is_tune": True,
        "num_cpus": 1,
        "num_gpus": 0,
        "tune_config": {"mode": "max", "metric": "score", "num_samples": 1},
        "hyperparameters": [{"name": "lr", "type": "grid_search", "options": [0.5, 0.25]}],
    },
    RuntimeContext(NoOpLogger(), PluginEnvironment({}), "job-t"),
)
"""
    run(code, ray_env)
    runs = [span for span in collector.spans if "synapse.run.status" in span.attributes]
    (search,) = [span for span in runs if "synapse.trial_id" not in span.resource]
    trials = [span for span in runs if "synapse.trial_id" in span.resource]
    assert len({span.resource["synapse.trial_id"] for span in trials}) == len(trials) == 2
    assert {(span.name, span.status, span.trace_id) for span in trials} == {("search", "ok", search.trace_id)}
    assert {span.resource["job_id"] for span in runs} == {"job-t"}
    scores: dict[str, list[float]] = {}
    for point in sorted(collector.points_of("synapse.metric.score"), key=lambda point: point.time_ns):
        scores.setdefault(point.resource["synapse.trial_id"], []).append(point.value)
    assert sorted(scores.values()) == [[0.25, 0.5], [0.5, 1.0]]
    assert any(record.event_name == "trials" for record in collector.logs)
