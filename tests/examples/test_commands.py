"""The commands in the docstrings of the examples, executed as they stand there."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXPECTED = {
    "synapse-otel run examples/function_action.py --params '{\"batches\": 200}'": (0, r"Pi is about 3\.14\d\d\b"),
    "synapse-otel run examples/class_action.py --params '{\"items\": 500}'": (0, r"Exported 492 of 500 items"),
    "synapse-otel run examples/step_workflow.py --params '{\"files\": 8}'": (0, r"Uploaded 8 files"),
    "synapse-otel run examples/step_workflow.py --params '{\"fail\": true}'": (1, r"removed 4 uploaded files"),
    "synapse-otel run examples/train_digits.py --params '{\"epochs\": 30}' --job-id digits": (
        0,
        r"Recognised (9[5-9]|100)\.\d% of 270 digits",
    ),
}


def commands() -> list[str]:
    """The lines of the examples' docstrings that are commands."""
    docstrings = [ast.get_docstring(ast.parse(path.read_text())) or "" for path in sorted(ROOT.glob("examples/*.py"))]
    return [line.strip() for text in docstrings for line in text.splitlines() if line.startswith("    ")]


def test_each_command_is_known() -> None:
    """What each documented command does is checked below, and each example has one."""
    assert sorted(commands()) == sorted(EXPECTED)
    assert {shlex.split(command)[2] for command in EXPECTED} == {
        str(path.relative_to(ROOT)) for path in ROOT.glob("examples/*.py")
    }


@pytest.mark.parametrize("command", EXPECTED)
def test_a_documented_command(command: str) -> None:
    """A command that is copied from a docstring ends as it should and says what came of it."""
    code, said = EXPECTED[command]
    program = Path(sys.executable).with_name(shlex.split(command)[0])
    ran = subprocess.run(
        [program, *shlex.split(command)[1:]],
        cwd=ROOT,
        # Else the threads of the linear algebra, which such small matrices do not need, spin on cores that are shared.
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == code, ran.stdout
    assert re.search(said, ran.stdout), ran.stdout
