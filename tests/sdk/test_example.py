"""The example plugin, which is written with the Synapse SDK alone, run in every way that the README names."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json
from synapse_sdk.plugins.discovery import PluginDiscovery
from synapse_sdk.plugins.errors import ExecutionError
from synapse_sdk.plugins.runner import run_plugin

from sdk.arrived import records, roots, run_of, samples
from synapse_otel.sdk import SynapseInstrumentor
from synapse_otel.testing import Collector, Span

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "synapse_plugin"
BIN = Path(sys.executable).parent
JOB = "job-x"
PARAMS = {"epochs": 3, "points": 2000}
LEARNED = 3 * 1600  # a fifth of the points is kept for validation

Execute = Callable[..., int]
"""Executes the action with these parameters and returns the exit code, where it is no process what it would be."""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the plugin keeps its files, here and in processes that are started."""
    folder = tmp_path / "files"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let the modules of a plugin be imported, and be forgotten afterwards."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == "plugin"]:
            del sys.modules[name]


def as_json(params: dict[str, Any]) -> str:
    return to_json(params).decode()


def with_command(env: dict[str, str], params: dict[str, Any]) -> int:
    command = [BIN / "synapse-otel", "run", f"{PLUGIN}:train", "--params", as_json(params), "--job-id", JOB]
    return subprocess.run(command, env=env, capture_output=True).returncode


def as_ray_job(env: dict[str, str], params: dict[str, Any]) -> int:
    return entrypoint(BIN / "opentelemetry-instrument", sys.executable, env=env, params=params).returncode


def entrypoint(*program: Any, env: dict[str, str], params: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    variables = {
        "SYNAPSE_ACTION_ENTRYPOINT": "plugin.train.TrainAction",
        "SYNAPSE_ACTION_PARAMS": as_json(params),
        "SYNAPSE_JOB_ID": JOB,
    }
    return subprocess.run(
        [*program, "-m", "synapse_sdk.plugins.entrypoint"],
        cwd=PLUGIN,
        env={**env, **variables},
        capture_output=True,
        text=True,
    )


def in_this_process(_: dict[str, str], params: dict[str, Any], **options: Any) -> int:
    instrumentor = SynapseInstrumentor()
    instrumentor.instrument()
    try:
        with importable(PLUGIN):
            run_plugin(str(PLUGIN), "train", params, job_id=JOB, **options)
    except ExecutionError:
        return 1
    finally:
        instrumentor.uninstrument()
    return 0


@pytest.fixture(params=[with_command, as_ray_job, in_this_process])
def execute(request: pytest.FixtureRequest, collector: Collector, files: Path, child_env: dict[str, str]) -> Execute:
    return lambda **params: request.param({**child_env, "TMPDIR": str(files)}, {**PARAMS, **params})


@dataclass(frozen=True)
class Step:
    name: str
    status: str
    parent: str


def steps(collector: Collector) -> list[Step]:
    by_id = {span.span_id: span.name for span in collector.spans}
    found = sorted((s for s in collector.spans if "synapse.step.status" in s.attributes), key=lambda s: s.start_ns)
    return [Step(s.name, s.attributes["synapse.step.status"], by_id[s.parent_span_id]) for s in found]


def step(collector: Collector, name: str) -> Span:
    (found,) = [s for s in collector.spans if s.name == name and "synapse.step.status" in s.attributes]
    return found


def messages(collector: Collector) -> list[tuple[str, str, str | None]]:
    return [
        (level, re.sub(r"obstacle_finder-\w+", "FOLDER", body), attributes.get("synapse.message.key"))
        for name, level, body, attributes in records(collector)
        if name == "synapse.message"
    ]


def phases(collector: Collector) -> set[tuple[str, int, int]]:
    return {
        (
            s.attributes["synapse.category"],
            s.attributes["synapse.progress.current"],
            s.attributes["synapse.progress.total"],
        )
        for s in collector.spans
        if "synapse.progress.total" in s.attributes
    }


def test_everything_it_reports_arrives(execute: Execute, collector: Collector, files: Path) -> None:
    """The run, its steps, every sample, what is said to the user and to developers, and the file."""
    assert execute() == 0
    assert roots(collector) == [("train", "ok", "train", "neural_net", "completed")]
    assert {item.resource["job_id"] for item in (*collector.spans, *collector.logs, *collector.points)} == {JOB}
    assert len({item.trace_id for item in (*collector.spans, *collector.logs)}) == 1
    assert steps(collector) == [
        Step("load", "completed", "train"),
        Step("resume", "skipped", "train"),
        Step("fit", "completed", "train"),
        Step("save", "completed", "train"),
    ]
    assert {("epochs", 3, 3), ("fit", LEARNED, LEARNED)} <= phases(collector)
    assert {category for category, _, _ in phases(collector)} == {"fit", "epochs"}

    reported = samples(collector)
    assert [(key, category) for key, category, _ in reported] == [
        ("loss", "train"),
        ("learning_rate", "train"),
        ("accuracy", "validation"),
    ] * 3
    losses = [value for key, _, value in reported if key == "loss"]
    assert losses == sorted(losses, reverse=True)
    assert [value for key, _, value in reported if key == "learning_rate"] == [0.05, 0.05 / 2, 0.05 / 3]
    accuracy = reported[-1][2]
    assert 0.9 < accuracy <= 1

    assert messages(collector) == [
        ("info", "Training on 1600 points for 3 epochs", "OBSTACLE_TRAINING"),
        ("success", f"Recognised {accuracy:.1%} of 400 points that it had never seen", "OBSTACLE_TRAINED"),
        ("info", f"The weights are in {files / 'FOLDER'}", None),
        ("info", "Plugin run is complete.", "PLUGIN_RUN_COMPLETE"),
    ]
    events = {name: (level, body, attributes) for name, level, body, attributes in records(collector)}
    assert events["scan_loaded"][2] == {"training": 1600, "validation": 400, "synapse.step": "load"}
    developers = [record for record in records(collector) if record[0] == "synapse.dev_event"]
    assert [(level, body) for _, level, body, _ in developers] == [
        ("debug", "network built"),
        ("debug", "epoch 1"),
        ("debug", "epoch 2"),
        ("debug", "epoch 3"),
    ]
    assert developers[0][3] == {"units": 16, "synapse.step": "load"}

    (written,) = files.glob("*/network.json")
    size = written.stat().st_size
    saved = {"bytes": size, "file.size": size, "file.path": str(written)}
    assert events["weights_saved"][2] == {**saved, "synapse.step": "save"}
    assert saved.items() <= step(collector, "save").events[0].attributes.items()


def test_a_failure_and_the_rollback_are_seen(execute: Execute, collector: Collector, files: Path) -> None:
    """The step that failed has the exception, each rollback is a span, the run and the process have failed."""
    assert execute(full_disk=True) == 1
    assert roots(collector) == [("train", "error", "train", "neural_net", "failed")]
    reason = "[Errno 28] no space left for the weights: 'network.json'"
    assert run_of(collector, "train").status_message == f"RuntimeError: Step 'save' failed: {reason}"
    assert steps(collector) == [
        Step("load", "completed", "train"),
        Step("resume", "skipped", "train"),
        Step("fit", "completed", "train"),
        Step("save", "failed", "train"),
        Step("rollback save", "completed", "train"),
        Step("rollback fit", "completed", "train"),
        Step("rollback load", "completed", "train"),
    ]
    failed = step(collector, "save")
    assert (failed.status, failed.status_message) == ("error", f"OSError: {reason}")
    (exception,) = failed.events
    assert exception.name == "exception"
    assert exception.attributes["exception.type"] == "OSError"
    stacktrace = exception.attributes["exception.stacktrace"]
    assert f'File "{PLUGIN}/plugin/steps.py"' in stacktrace
    assert "synapse_otel" not in stacktrace
    assert messages(collector) == [
        ("info", "Training on 1600 points for 3 epochs", "OBSTACLE_TRAINING"),
        ("warning", "Rolled back: discarded the weights of 3 epochs", "OBSTACLE_DISCARDED"),
        ("info", "Rolled back: removed FOLDER", None),
    ]
    by_id = {span.span_id: span.name for span in collector.spans}
    said = [
        record
        for record in sorted(collector.logs, key=lambda log: log.time_ns)
        if record.event_name == "synapse.message"
    ]
    assert [by_id[record.span_id] for record in said] == ["fit", "rollback fit", "rollback load"]
    assert len(samples(collector)) == 9
    assert list(files.glob("obstacle_finder-*")) == []


def test_what_it_says_is_in_the_language_of_the_user(collector: Collector, files: Path) -> None:
    """And under the same keys, which a program can look for."""
    assert in_this_process({}, {**PARAMS, "epochs": 1}, language="ko") == 0
    assert [(level, key) for level, _, key in messages(collector)] == [
        ("info", "OBSTACLE_TRAINING"),
        ("success", "OBSTACLE_TRAINED"),
        ("info", None),
        ("info", "PLUGIN_RUN_COMPLETE"),
    ]
    assert messages(collector)[0][1] == "점 1600개로 1 에포크 학습을 시작합니다"
    assert messages(collector)[2][1] == f"가중치 위치: {files / 'FOLDER'}"


def test_it_goes_on_from_earlier_weights(collector: Collector, files: Path) -> None:
    """Then the step that is skipped else is executed, and the loss is lower from the start."""
    assert in_this_process({}, PARAMS) == 0
    (weights,) = files.glob("*/network.json")
    before = [value for key, _, value in samples(collector) if key == "loss"]
    collector.clear()
    assert in_this_process({}, {**PARAMS, "checkpoint": weights}) == 0
    assert Step("resume", "completed", "train") in steps(collector)
    assert next(value for key, _, value in samples(collector) if key == "loss") < before[0]


def test_what_the_sdk_prints_is_unchanged(child_env: dict[str, str], files: Path) -> None:
    """Line by line, but for durations and random names."""
    params = {**PARAMS, "epochs": 1, "full_disk": True}
    plain = entrypoint(sys.executable, env=child_env, params=params)
    instrumented = entrypoint(BIN / "opentelemetry-instrument", sys.executable, env=child_env, params=params)
    assert plain.returncode == instrumented.returncode == 1
    assert timeless(instrumented.stdout) == timeless(plain.stdout)
    assert (
        instrumented.stderr[instrumented.stderr.index("Traceback") :] == plain.stderr[plain.stderr.index("Traceback") :]
    )


def timeless(printed: str) -> str:
    return re.sub(r"obstacle_finder-\w+", "FOLDER", re.sub(r"'seconds': [\d.e-]+", "SECONDS", printed))


COMMANDS = {
    "synapse-otel run examples/synapse_plugin:train --params '{\"epochs\": 3}'": (0, r"Recognised 9\d\.\d%"),
    "synapse-otel run examples/synapse_plugin:train --params '{\"full_disk\": true}'": (1, r"rollback fit"),
}


def test_the_commands_in_its_docstring_are_these() -> None:
    """What each documented command does is checked below."""
    docstring = ast.get_docstring(ast.parse((PLUGIN / "plugin" / "train.py").read_text())) or ""
    assert [line.strip() for line in docstring.splitlines() if line.startswith("    ")] == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_documented_command(command: str, files: Path) -> None:
    """A command that is copied from the docstring ends as it should and says what came of it."""
    code, said = COMMANDS[command]
    program, *arguments = shlex.split(command)
    ran = subprocess.run(
        [BIN / program, *arguments],
        cwd=ROOT,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert ran.returncode == code, ran.stdout
    assert re.search(said, ran.stdout), ran.stdout


def test_it_is_written_with_the_sdk_alone() -> None:
    """It imports the SDK, which depends on pydantic, the standard library, and nothing of ours."""
    known = {*sys.stdlib_module_names, "synapse_sdk", "pydantic", "plugin"}
    sources = list(PLUGIN.rglob("*.py"))
    assert len(sources) >= 4
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= known
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] in known


def test_its_config_is_one_of_the_sdk() -> None:
    """The SDK finds in the sources what stands in the `config.yaml`."""
    with importable(PLUGIN):
        plugin = PluginDiscovery.from_path(PLUGIN)
        assert plugin.config.category == "neural_net"
        assert plugin.get_action_class("train").action_name == "train"
        found = PluginDiscovery.discover_actions(PLUGIN)
    assert {name: action["entrypoint"] for name, action in found.items()} == {
        "train": plugin.get_action_entrypoint("train")
    }
