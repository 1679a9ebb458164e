"""The processes of jobs do what they did, and what is carried to other processes arrives as it did."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import os
import pickle
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from synapse_sdk.loggers import ConsoleLogger, JobLogger
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext

from sdk import comparing
from sdk.backend import Backend, Request
from sdk.comparing import Clock, assert_untouched, done, seen
from sdk.loggers import CarefulContext, OwnLogger, close
from synapse_otel.testing import Collector

clock = comparing.clock
backend = comparing.backend

PLUGIN = """
import os, signal, sys

from pydantic import BaseModel
from synapse_sdk.plugins.action import BaseAction
from synapse_sdk.plugins.models.logger import LogLevel


class Params(BaseModel):
    times: int = 1


class Greets(BaseAction[Params]):
    def execute(self):
        for number in range(self.params.times):
            self.set_progress(number + 1, self.params.times, "greeting")
        self.set_metrics({"length": 5}, "greeting")
        self.log("greeted", {"name": "you"}, __file__)
        self.log_message("Hello", LogLevel.SUCCESS)
        self.ctx.end_log()
        print("to stderr", file=sys.stderr)
        return {"text": "Hello"}


class Breaks(Greets):
    def execute(self):
        super().execute()
        try:
            return {}["nothing"]
        except KeyError as error:
            raise ValueError("a made-up error") from error


class Exits(Greets):
    def run(self):
        sys.exit("a made-up exit")


class Killed(Greets):
    def execute(self):
        os.kill(os.getpid(), signal.SIGTERM)
"""
ENTRYPOINT = ("python", "-m", "synapse_sdk.plugins.entrypoint")
ENTRYPOINTS = {
    "a_plugin.Greets": 0,
    "a_plugin.Breaks": 1,
    "a_plugin.Exits": 1,
    "a_plugin.Killed": -signal.SIGTERM,
    "nowhere.Missing": 1,
}


@dataclass(frozen=True)
class Process:
    """What a process said, and how it ended."""

    code: int
    stdout: str
    stderr: str


@pytest.mark.parametrize("entrypoint", ENTRYPOINTS)
def test_the_process_of_a_job_does_what_it_did(entrypoint: str, collector: Collector, tmp_path: Path) -> None:
    """The entrypoint of a Ray job prints, sends to the backend and ends the same, tracebacks to the letter."""
    (tmp_path / "a_plugin.py").write_text(PLUGIN)
    with Backend() as backend, Backend() as other:
        plain = started(entrypoint, backend, tmp_path)
        instrumented = started(entrypoint, other, tmp_path, "opentelemetry-instrument")
        told, compared = ended(plain, backend), ended(instrumented, other)
    assert compared == told
    assert told.code == ENTRYPOINTS[entrypoint]
    assert summary(other.requests) == summary(backend.requests)
    assert ("Using JobLogger" in told.stdout) == (not entrypoint.endswith("Missing"))
    assert "synapse_otel" not in compared.stdout + compared.stderr
    assert collector.spans or told.code == -signal.SIGTERM


def started(entrypoint: str, backend: Backend, cwd: Path, *command: str) -> subprocess.Popen[str]:
    """Start the process of a job."""
    programs = Path(sys.executable).parent
    job = {"SYNAPSE_JOB_ID": "job-1", "SYNAPSE_ACTION_ENTRYPOINT": entrypoint, "SYNAPSE_ACTION_PARAMS": '{"times": 3}'}
    env = {**os.environ, **backend.env(), **job, "PATH": str(programs), "HOME": str(cwd)}
    # What is to be seen by users are the warnings, too; those of the SDK and of Ray are in both.
    return subprocess.Popen(
        [str(programs / (*command, *ENTRYPOINT)[0]), *(*command, *ENTRYPOINT)[1:]],
        cwd=cwd,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(process: subprocess.Popen[str], backend: Backend) -> Process:
    """Wait for the end of a process, and tell what it said, without times and addresses."""
    stdout, stderr = process.communicate(timeout=60)
    return Process(
        process.returncode, *(_timeless(output).replace(backend.url, "<url>") for output in (stdout, stderr))
    )


def _timeless(output: str) -> str:
    output = re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+", "<time>", output, flags=re.MULTILINE)
    return re.sub(r"ETA: [\d.]+s", "ETA: some", output)


def summary(requests: list[Request]) -> dict[str, Any]:
    """Return what a backend knows in the end, and how it was told: requests are bundled by time."""
    jobs = [request.body for request in requests if request.path == "/jobs/job-1/"]
    logs = [request.body for request in requests if request.path == "/logs/"]
    entries = [entry for body in logs for entry in (body if isinstance(body, list) else [body])]
    known: dict[str, Any] = {}
    for body in jobs:
        known.update(body)
    return {
        "who": {(request.method, request.path, json.dumps(request.headers, sort_keys=True)) for request in requests},
        "known": _timeless_record(known),
        "states": [body["status"] for body in jobs if "status" in body],
        "entries": [{**entry, "datetime": "<time>"} for entry in entries],
    }


def _timeless_record(value: Any) -> Any:
    if isinstance(value, dict):
        times = {"time_remaining", "time_elapsed"}
        return {key: "<time>" if key in times else _timeless_record(one) for key, one in value.items()}
    return value


def test_contexts_are_copied_as_they_were(clock: Clock, collector: Collector) -> None:
    """A context that is copied or pickled arrives with what it had, and with nothing else."""

    def scenario() -> list[Any]:
        told: list[Any] = []
        for cls, make in itertools.product((RuntimeContext, CarefulContext), (ConsoleLogger, OwnLogger)):
            clock.set(1.0)
            logger = make()
            ctx = cls(logger, PluginEnvironment({"A": "1"}), "job-1", checkpoint={"path": "here"})
            if cls is CarefulContext:
                ctx.extra = 5
            logger.info("a run is open")
            for copied in (
                copy.copy(ctx),
                copy.deepcopy(ctx),
                pickle.loads(pickle.dumps(ctx)),
                dataclasses.replace(ctx),
            ):
                told.append([seen(dict(vars(copied))), getattr(copied, "extra", None), seen(copied.logger)])
            logger.finish()
        return told

    assert_untouched(scenario, collector)


def test_what_cannot_be_pickled_cannot_be_pickled_as_before(backend: Backend, collector: Collector) -> None:
    """A context whose logger does not go to another process is refused in the same words."""

    def scenario() -> list[Any]:
        logger = JobLogger(backend.client(), "job-1")
        logger._lock_of_a_user = sys.stdout
        ctx = RuntimeContext(logger, PluginEnvironment({}), "job-1")
        done("log", logger.info, "a run is open")
        refused = done("dumps", pickle.dumps, ctx)
        done("finish", logger.finish)
        close(logger)
        return [refused.raised and (refused.raised.type, refused.raised.text)]

    assert assert_untouched(scenario, collector)[0] is not None


CARRIED = """
import contextlib, io, pickle, sys, threading

from pydantic import BaseModel
from ray import cloudpickle
from synapse_sdk.loggers import BaseLogger, ConsoleLogger
from synapse_sdk.plugins.action import BaseAction
from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext
from synapse_sdk.plugins.decorators import action
from synapse_sdk.plugins.steps.base import BaseStep, StepResult
from synapse_sdk.plugins.steps.context import BaseStepContext
from synapse_sdk.plugins.steps.orchestrator import Orchestrator
from synapse_sdk.plugins.steps.registry import StepRegistry

from synapse_otel.sdk import SynapseInstrumentor


class Params(BaseModel):
    times: int = 2


class Logger(BaseLogger):
    def _log_impl(self, event, data, file, step, level=None):
        print(event, data, step)

    def log_message(self, message, level=None, *, context=None):
        super().info(message)


class Step(BaseStep):
    name, progress_weight = "one", 1.0

    def execute(self, context):
        context.log_message("in a step")
        return StepResult(data={"step": self.name})

    def can_skip(self, context):
        return super().can_skip(context)


class Greets(BaseAction[Params]):
    def execute(self):
        self.set_progress(1, self.params.times)
        self.ctx.logger.log_message("from an action")
        registry = StepRegistry()
        registry.register(Step())
        orchestrator = Orchestrator(registry, BaseStepContext(self.ctx), self.set_progress)
        return {**orchestrator.execute(), "kind": self.kind()}

    def run(self):
        return {**super().run(), "ran": True}

    @classmethod
    def dispatch(cls, params, ctx):
        return {**super().dispatch(params, ctx), "dispatched": cls.__name__}

    @staticmethod
    def kind():
        return "own"


def everything():
    @action(name="function")
    def function(params, ctx):
        ctx.log_message("from a function")
        return params

    ctx = RuntimeContext(Logger(), PluginEnvironment({"A": "1"}), "job-1")
    result = Greets.dispatch({}, ctx), function({}, ctx)  # so that what is replaced lazily is replaced
    values = {"ctx": ctx, "action": Greets(Params(), ctx), "class": Greets, "function": function, "step": Step(),
              "bound": ctx.logger.log_message, "result": result}
    console = RuntimeContext(ConsoleLogger(), PluginEnvironment({}), "job-2")
    console.log_message("to the console")
    return [pickle.dumps(console), cloudpickle.dumps(values)]


with contextlib.redirect_stdout(io.StringIO()):
    plain = everything()
    SynapseInstrumentor().instrument()
    carried = everything()
    SynapseInstrumentor().uninstrument()
pickle.dump((plain, carried), sys.stdout.buffer)
"""
ARRIVED = """
import contextlib, io, pickle, sys

sys.modules["synapse_otel"] = None


def arrived(console, values):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        ctx, values = pickle.loads(console), pickle.loads(values)
        ctx.log_message("from another process")
        told = [
            values["result"],
            values["class"].dispatch({"times": 4}, values["ctx"]),
            values["action"].run(),
            values["function"]({"a": 1}, values["ctx"]),
            values["step"].can_skip(None),
            values["bound"]("bound"),
            sorted(vars(values["class"])),
            [type(value).__name__ for value in vars(values["class"]).values()],
        ]
    return told, output.getvalue()


plain, carried = pickle.load(sys.stdin.buffer)
found = [arrived(*plain), arrived(*carried)]
assert not [name for name in sys.modules if name.startswith("synapse_otel.")]
print(repr(found))
"""


def test_what_is_carried_by_value_arrives_where_we_are_not(collector: Collector, tmp_path: Path) -> None:
    """Contexts, classes of a script and their instances unpickle, and work, in a process that lacks this package."""
    (tmp_path / "script.py").write_text(CARRIED)
    env = {**os.environ, "PYTHONWARNINGS": "ignore"}
    sent = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=env, capture_output=True, timeout=60)
    assert (sent.returncode, sent.stderr.decode()) == (0, "")
    command = [sys.executable, "-c", ARRIVED]
    found = subprocess.run(command, cwd=tmp_path, env=env, input=sent.stdout, capture_output=True, timeout=60)
    assert (found.returncode, found.stderr.decode()) == (0, "")
    plain, carried = eval(found.stdout)
    assert carried == plain
    assert "from another process" in plain[1]
    assert collector.spans
