"""Journals and cursors that somebody has forged: little memory, little time, and the neighbours are delivered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from faults.hostile_journals import FORGED, HUGE, PLANTED, T, plant_all
from faults.kit import HERE, Place, wait_until
from journal.kit import identity, message, written
from synapse_otel.testing import Collector

MEMORY = 1280 * 2**20
"""Bytes of address space: what Python, its libraries and their threads take, and a fraction of a sparse file."""
SECONDS = 20.0
"""Of the processor, for one command: hundredfold what it takes."""
assert MEMORY < HUGE / 5

SWEEP = """
import resource, sys
from pathlib import Path
from synapse_otel.journal.quota import Quota, enforce
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
enforce(Path(sys.argv[1]), Quota(max_bytes=0, max_age=1e9))
"""

BOUNDED_RUN = """
import logging, os, resource, time
from synapse_otel import RuntimeContext
logging.getLogger("synapse_otel").addHandler(logging.NullHandler())  # what cannot be delivered is said
resource.setrlimit(resource.RLIMIT_AS, (int(os.environ["MEMORY"]),) * 2)  # of the agent that it starts as well
with RuntimeContext.open("next"):
    while not os.path.exists(os.environ["STOP"]):
        time.sleep(0.02)
"""


@pytest.fixture
def root(place: Place) -> Path:
    """A journal directory with every forged journal in it, and behind them all one of a run that crashed."""
    place.journal_dir.mkdir()
    plant_all(place.journal_dir, FORGED | PLANTED)
    written(place.journal_dir, [message("the neighbour", t=T)], identity=identity(job_id="zz-neighbour"))
    return place.journal_dir


def bounded(env: dict[str, str], output: Path, commands: list[list[str]]) -> list[dict[str, Any]]:
    """Run commands in one process with little memory; return what became of each."""
    told = json.dumps({"commands": commands, "memory": MEMORY, "output": str(output)})
    program = [sys.executable, "-W", "error", str(HERE / "commands.py"), told]
    done = subprocess.run(program, env=env, cwd=output.parent, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(outcomes: list[dict[str, Any]]) -> None:
    """Each command ended as commands do, in time."""
    assert [outcome for outcome in outcomes if outcome["result"] not in (0, 1) or outcome["seconds"] > SECONDS] == []


@pytest.mark.parametrize("shipper", ["off"])
def test_forged_journals_are_shown_with_little_memory_and_time(root: Path, place: Place) -> None:
    """`runs`, `show` and `report` say of each what they can, and fail on none."""
    output, names = place.directory / "output", sorted(os.listdir(root))
    names = [names[-1], *(name for name in names if "-that-is-" not in name)]
    each = [[command, name, *more] for name in names for command, *more in (["show"], ["show", "--json"])]
    reports = [["report", name, "-o", "report.html"] for name in names]
    check(bounded(place.env(), output, [["runs"], ["runs", "--json"], *each, *reports]))
    assert output.stat().st_size < 64 * 2**20
    assert "the neighbour" in output.read_text()


@pytest.mark.parametrize("shipper", ["off"])
def test_forged_journals_are_pushed_with_little_memory_and_time(root: Path, place: Place) -> None:
    """`push` sends what can be read of each; none keeps those behind it from being sent; no request is too large."""
    with Collector() as collector:
        output = place.directory / "output"
        check(bounded(place.env(collector), output, [["push", "--timeout", "5"]]))
        assert "the neighbour" in collector.messages
        assert max(request.size for request in collector.requests) < 4 * 2**20
        assert {request.status for request in collector.requests} == {200}
        assert "Traceback" not in output.read_text()


def test_a_run_that_starts_delivers_what_stands_among_forged_journals(root: Path, place: Place) -> None:
    """Whoever adopts orphans, a thread or the agent, comes to the end of them."""
    with Collector() as collector:
        env = place.env(collector, MEMORY=str(MEMORY), STOP=str(place.directory / "stop"))
        plugin = place.start(env, code=BOUNDED_RUN)
        wait_until(lambda: "the neighbour" in collector.messages, 120)
        (place.directory / "stop").touch()
        outcome = plugin.wait()
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert root.is_dir()


@pytest.mark.parametrize("shipper", ["off"])
def test_a_forged_journal_does_not_break_the_sweep_of_the_quota(root: Path, place: Place) -> None:
    """Making the directory fit into its quota takes little memory and time, and removes what it can."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SWEEP, str(root), str(MEMORY)],
        env=place.env(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
