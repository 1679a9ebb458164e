"""What the tests of the agent share: plugins in processes of their own, and a look at the agents there are."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from synapse_otel.agent.state import AgentState, agents
from synapse_otel.testing import Collector

PATIENCE = 15.0


def plugin(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a process that runs `code`, in this process's environment."""
    program = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments]
    return subprocess.Popen(program, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def said(process: subprocess.Popen[str]) -> str:
    """What a process printed, on its standard error too, once it has ended well."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out + err


def wait_for(look: Callable[[], object], timeout: float = PATIENCE) -> float:
    """Wait until `look` gives something true; return after how many seconds it did."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < timeout, "it did not come about"
        time.sleep(0.01)
    return time.monotonic() - began


def the_agent(root: Path) -> AgentState:
    """The one agent of a journal directory, once it is there."""
    wait_for(lambda: agents(root))
    (state,) = agents(root)
    return state


def is_alive(pid: int) -> bool:
    """Whether a process lives; one that has ended and is not waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def statuses(collector: Collector, job_id: str) -> list[object]:
    """How the run of a job ended, as its spans say: one, or none that arrived yet."""
    spans = [span for span in collector.spans if span.resource["job_id"] == job_id]
    return [span.attributes["synapse.run.status"] for span in spans if "synapse.run.status" in span.attributes]
