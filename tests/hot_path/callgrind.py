"""Counts machine instructions with Valgrind's callgrind: exact, however busy the machine is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
_OUT = re.compile(r"out\.([0-9]+)-01")
_MAIN_THREAD_TOTAL = re.compile(r"^totals: ([0-9]+)$", re.MULTILINE)


def instructions(directory: Path, count: int) -> list[int]:
    """Run `counted.py`; return how many instructions its main thread took in each of its blocks, per call.

    Args:
        directory: An empty one, for files of the tool and of the program.
        count: How many calls a block makes.
    """
    out, journals = directory / "out", directory / "journals"
    tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
    tool += ["--dump-before=getsid", "--separate-threads=yes"]
    program = [sys.executable, str(HERE / "counted.py"), str(journals), str(count)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SYNAPSE_"))}
    environ |= {"PYTHONHASHSEED": "0"}
    done = subprocess.run([*tool, *program], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    dumps = {int(match[1]): file for file in directory.iterdir() if (match := _OUT.fullmatch(file.name))}
    totals = [_total(dumps[number]) for number in sorted(dumps)]
    return [total // count for total in totals[1::2]]  # every other one is between two blocks


def _total(dump: Path) -> int:
    found = _MAIN_THREAD_TOTAL.search(dump.read_text())
    assert found, f"{dump} has no total"
    return int(found[1])
