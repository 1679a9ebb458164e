"""The README is true: its examples run, its tables are those of the code."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from synapse_otel.cli import app as cli
from synapse_otel.export.settings import TelemetrySettings
from synapse_otel.projection import names

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text()


def block_after(marker: str, language: str) -> str:
    """The first fenced block of a language after a text."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT[TEXT.index(marker) :], re.DOTALL)[0]


def timeless(line: str) -> str:
    """A line without what differs between two runs: durations, times, ids, the blanks that align them."""
    line = re.sub(r"\d+(\.\d+)? m?s\b", "TIME", line)
    line = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d\d:\d\d:\d\d\.\d+", "TIME", line)
    line = re.sub(r"[0-9a-f]{32}", "ID", line)
    line = re.sub(r"pid \d+ on \S+", "PID", line)
    line = re.sub(r"\d+ records", "N records", line)
    return re.sub(r"[\s━]+", " ", line).strip()


def test_the_example_is_shown_as_the_readme_says(journal_dir: Path) -> None:
    """The first example runs, and `show` prints of its run what stands below it."""
    example = next(iter(Sybil([PythonCodeBlockParser()]).parse(README).examples()))
    example.evaluate()
    said = block_after("No collector is configured", "console").splitlines()
    assert said[0] == "$ synapse-otel show job-123"
    shown = synapse_otel("show", "job-123").splitlines()
    assert [timeless(line) for line in said[1:] if line] == [timeless(line) for line in shown if line]


def test_the_plugin_runs(journal_dir: Path) -> None:
    """The second example, a plugin, runs and returns what it says."""
    plugin = list(Sybil([PythonCodeBlockParser()]).parse(README).examples())[1]
    plugin.evaluate()
    assert "✔ completed" in synapse_otel("show", "job-124")


def synapse_otel(*arguments: str) -> str:
    """Run the command as a user does."""
    command = Path(sys.executable).parent / "synapse-otel"
    return subprocess.run(
        [command, *arguments], check=True, capture_output=True, text=True, env={**os.environ, "COLUMNS": "90"}
    ).stdout


def test_the_test_of_a_plugin_passes(pytester: pytest.Pytester) -> None:
    """The example of a plugin's test is one that passes."""
    pytester.makepyfile(block_after("Testing what a plugin reports", "python"))
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_every_name_is_in_the_table() -> None:
    """What leaves the process under a name of ours stands in the README."""
    ours = {
        name
        for name in _strings(names)
        if name.startswith(
            (
                "synapse.",
                "synapse_otel.records",
                "synapse_otel.delivery",
                "synapse_otel.journal",
                "job_id",
                "file.",
                "log.record",
            )
        )
    }
    missing = [name for name in sorted(ours) if f"`{name}" not in TEXT]
    assert missing == []


def _strings(module: object) -> Iterator[str]:
    for _, value in inspect.getmembers(module):
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield value[0]


def test_severities_are_as_documented() -> None:
    """Every level stands in the README with its severity number."""
    said = TEXT[TEXT.index("Levels become severities") :].split("The span of a")[0]
    numbers = {
        level: int(number)
        for names_, number in re.findall(r"([a-z and]+) (\d+)", said.split(":")[1])
        for level in names_.replace(" and ", " ").split()
    }
    assert numbers == names.SEVERITY


def settings_table() -> str:
    """The table of our settings, as the README has it."""
    rows = ["| variable | default | |", "|---|---|---|"]
    for name, field in TelemetrySettings.model_fields.items():
        default = "the user's state directory" if name == "journal_dir" else f"`{field.default}`"
        rows.append(f"| `SYNAPSE_OTEL_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def test_every_setting_is_documented() -> None:
    """The table of the settings is generated from their descriptions."""
    assert settings_table() in TEXT


def test_every_command_is_documented() -> None:
    """The table of the commands has each of them."""
    commands = {command.name or command.callback.__name__ for command in cli.app.registered_commands}  # type: ignore[union-attr]  # one of both is there
    assert {name for name in commands if f"`synapse-otel {name}" not in TEXT} == set()
    assert commands == {"run", "runs", "show", "report", "push", "doctor", "up", "down"}


def test_every_file_that_is_named_exists() -> None:
    """Links of the README lead somewhere."""
    targets = re.findall(r"\]\((?!https?:)([^)]+)\)", TEXT)
    assert targets
    assert [target for target in targets if not (README.parent / target).exists()] == []
