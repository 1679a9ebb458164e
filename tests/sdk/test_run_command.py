"""``synapse-otel run`` with actions of the Synapse SDK."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sdk.arrived import roots, samples
from synapse_otel.testing import Collector

PROGRAM = str(Path(sys.executable).parent / "synapse-otel")

CODE = """
from pydantic import BaseModel
from synapse_sdk.plugins.action import BaseAction
from synapse_sdk.plugins.decorators import action

class Params(BaseModel):
    epochs: int = 2

class Fit(BaseAction[Params]):
    action_name = "fit"

    def execute(self):
        for epoch in range(self.params.epochs):
            self.set_metrics({"loss": 0.5}, "training")
        return {"epochs": self.params.epochs}

@action(name="score", params=Params)
def score(params, ctx):
    ctx.set_metrics({"score": 1.5}, "scoring")
    if params.epochs == 0:
        raise ValueError("nothing to score")
    return {"score": 1.5}
"""

CONFIG = """
name: A plugin
code: a-plugin
version: 1.0.0
category: neural_net
data_type: image
actions:
  fit:
    entrypoint: work.Fit
  score:
    entrypoint: work.score
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plugin of two actions."""
    plugin = tmp_path / "plugin"
    plugin.mkdir()
    (plugin / "work.py").write_text(CODE)
    (plugin / "config.yaml").write_text(CONFIG)
    return tmp_path


def run(folder: Path, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, "run", *arguments], cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("target", "root", "sample"),
    [
        ("plugin/work.py:Fit", ("fit", "ok", "fit", None, "completed"), ("loss", "training", 0.5)),
        ("plugin:fit", ("fit", "ok", "fit", "neural_net", "completed"), ("loss", "training", 0.5)),
        ("plugin/config.yaml:fit", ("fit", "ok", "fit", "neural_net", "completed"), ("loss", "training", 0.5)),
        ("plugin/work.py:score", ("score", "ok", "score", None, "completed"), ("score", "scoring", 1.5)),
    ],
)
def test_actions_of_the_sdk_run(
    target: str,
    root: tuple[str, ...],
    sample: tuple[str, str, float],
    collector: Collector,
    child_env: dict[str, str],
    folder: Path,
) -> None:
    """A class or a function, of a file or of a plugin by its configuration, from which it has its category."""
    result = run(folder, child_env, target, "--params", '{"epochs": 1}', "--job-id", "job-c")
    assert (result.returncode, result.stderr) == (0, "")
    assert roots(collector) == [root]
    assert samples(collector) == [sample]
    assert {span.resource["job_id"] for span in collector.spans} == {"job-c"}


def test_a_failure_is_shown_once_and_is_the_exit_code(
    collector: Collector, child_env: dict[str, str], folder: Path
) -> None:
    """With the plugin's own lines."""
    result = run(folder, child_env, "plugin:score", "--params", '{"epochs": 0}')
    assert result.returncode == 1
    assert result.stderr.count("ValueError: nothing to score") == 1
    assert "/synapse_otel/" not in result.stderr
    assert [status for *_, status in roots(collector)] == ["failed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("plugin",),
            "error: plugin has 2 actions, which one?\n  synapse-otel run plugin:fit\n  synapse-otel run plugin:score\n",
        ),
        (("plugin:fid",), "error: plugin has no action 'fid'; its actions are: fit, score\n"),
        (
            ("plugin:fit", "--params", '{"epochs": "many"}'),
            "error: the parameters do not fit Params:\n  epochs: Input should be a valid integer, "
            "unable to parse string as an integer (got 'many')\n",
        ),
        (
            ("plugin/work.py",),
            "error: plugin/work.py has 2 actions, which one?\n  synapse-otel run plugin/work.py:Fit\n"
            "  synapse-otel run plugin/work.py:score\n",
        ),
    ],
)
def test_wrong_usage_says_what_there_is(
    arguments: tuple[str, ...], message: str, child_env: dict[str, str], folder: Path
) -> None:
    """Nothing runs, and the exit code is 2."""
    result = run(folder, child_env, *arguments)
    assert (result.returncode, result.stderr) == (2, message)


def test_a_broken_configuration_is_said(child_env: dict[str, str], folder: Path) -> None:
    """With the file's name."""
    (folder / "plugin" / "config.yaml").write_text("name: [")
    result = run(folder, child_env, "plugin:fit")
    assert (result.returncode, result.stderr.splitlines()[0][:60]) == (
        2,
        f"error: {folder}/plugin/config.yaml cannot be read"[:60],
    )
