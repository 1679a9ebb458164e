from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from cli.kit import START, Cli, Result, identity, program, write_journal
from synapse_otel.journal import records as rec


def test_the_version_is_the_package_s(cli: Cli) -> None:
    assert cli("--version") == Result(0, f"synapse-otel {version('synapse-otel')}\n", "")


def test_the_help_names_every_command(cli: Cli) -> None:
    out = cli("--help").out

    assert [line.split()[0] for line in out.partition("Commands:\n")[2].splitlines()] == [
        "run",
        "runs",
        "show",
        "report",
        "push",
        "doctor",
        "up",
        "down",
    ]


@pytest.mark.parametrize("command", ["run", "runs", "show", "report", "push", "doctor", "up", "down"])
def test_every_command_has_a_help(command: str, cli: Cli) -> None:
    result = cli(command, "--help")

    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: synapse-otel {command} ")


@pytest.mark.parametrize("arguments", [["rnus"], ["runs", "--nope"], ["runs", "--limit", "x"], ["run"]])
def test_what_is_not_understood_is_bad_usage(arguments: list[str], cli: Cli) -> None:
    result = cli(*arguments)

    assert (result.code, result.out) == (2, "")
    assert "Error" in result.err


def test_a_reader_that_leaves_is_no_error(journal_dir: Path) -> None:
    messages = [rec.Message(START + number, b"", b"", "x" * 1000, "info") for number in range(500)]
    write_journal(journal_dir, identity(), *messages)
    process = subprocess.Popen([program(), "show", "--all"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()

    assert process.wait(10) == 1
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_colours_are_for_terminals_that_want_them(command: Cli, journal_dir: Path) -> None:
    write_journal(journal_dir, identity(), rec.Message(START, b"", b"", "hello", "warning"))

    assert "\x1b[" in command("show", FORCE_COLOR="1", TERM="xterm-256color").out
    assert "\x1b[" not in command("show", TERM="xterm-256color").out
    assert "\x1b[3" not in command("show", FORCE_COLOR="1", NO_COLOR="1", TERM="xterm-256color").out
