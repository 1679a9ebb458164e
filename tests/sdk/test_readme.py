"""What the README says of existing plugins is true: its examples run here, where the Synapse SDK is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from synapse_otel.testing import Collector

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "synapse_plugin"
BIN = Path(sys.executable).parent
SECTION = (ROOT / "README.md").read_text().split("## Existing plugins of the Synapse SDK")[1].split("\n## ")[0]


def blocks(language: str) -> list[str]:
    """The fenced blocks of the section, also those that are indented in a list."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", SECTION, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One in which the example keeps its files apart, and a terminal as wide as the README's."""
    return {**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "100"}


def outline(line: str) -> str:
    """A line without what differs between two runs: durations, times, bars, what is cut off at the end."""
    line = re.sub(r"\d+(\.\d+)? m?s\b", "TIME", line)
    line = re.sub(r"\d\d:\d\d:\d\d\.\d+", "TIME", line)
    line = re.sub(r"(Error: .{10}).*…$", r"\1", line)
    return re.sub(r"[\s━]+", " ", line).strip()


def test_the_example_is_shown_as_the_readme_says(environment: dict[str, str]) -> None:
    """The commands run, and `show` prints what stands there, in that order, and nothing else but where the dots are."""
    (block,) = blocks("console")
    run, show = re.findall(r"^\$ (synapse-otel .*)$", block, re.MULTILINE)
    assert execute(run, environment).returncode == 1
    printed = execute(show, environment)
    shown, at = [outline(line) for line in printed.stdout.splitlines()], 0
    for part in block.split(f"$ {show}\n")[1].split("...\n"):
        lines = [outline(line) for line in part.splitlines()]
        found = next((i for i in range(at, len(shown)) if shown[i : i + len(lines)] == lines), None)
        assert found is not None, f"{part}\nis not what is shown, or not there:\n{printed.stdout}"
        at = found + len(lines)


def execute(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    program, *arguments = shlex.split(command)
    return subprocess.run([BIN / program, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(("number", "job"), [(0, "scan-6"), (1, "scan-5")])
def test_the_programs_run(number: int, job: str, collector: Collector, environment: dict[str, str]) -> None:
    """Both run in the plugin's folder as they stand there, and their runs arrive."""
    program = blocks("python")[number]
    assert f'job_id="{job}"' in program
    ran = subprocess.run([sys.executable, "-c", program], cwd=PLUGIN, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    (run,) = [span for span in collector.spans if "synapse.run.status" in span.attributes]
    assert (run.name, run.status, run.resource["job_id"]) == ("train", "ok", job)
    assert len(collector.points_of("synapse.metric.loss")) == 3
    steps = [span for span in collector.spans if "synapse.step.status" in span.attributes]
    assert len(steps) == (4 if number == 0 else 0)


def test_a_logger_of_ones_own_says_what_the_run_failed_with(collector: Collector, environment: dict[str, str]) -> None:
    """Even where the SDK is not instrumented."""
    program = blocks("python")[1].replace('{"epochs": 3}', '{"epochs": 1, "full_disk": True}')
    ran = subprocess.run([sys.executable, "-c", program], cwd=PLUGIN, env=environment, capture_output=True, text=True)
    assert ran.returncode == 1
    (run,) = [span for span in collector.spans if "synapse.run.status" in span.attributes]
    assert run.attributes["synapse.run.status"] == "failed"
    assert "no space left for the weights" in run.status_message


def test_every_block_is_executed() -> None:
    """There is no code in the section that is not looked at here."""
    assert (len(blocks("console")), len(blocks("python"))) == (1, 2)
    assert len(re.findall(r"^ *```\w", SECTION, re.MULTILINE)) == 3
