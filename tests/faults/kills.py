"""Runs whose process, agent, or both are killed with SIGKILL at a random moment: what is there afterwards, and when?

Every other plugin reports in a tight loop and is killed within 50 ms, in the middle of a call more often than not; the
others report for up to a second, and are shipped meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from faults.agents import agents
from faults.kit import Ledger, Outcome, Place, wait_until
from synapse_otel.testing import Collector

Victim = Literal["plugin", "agent", "both"]

CLOSED_WITHIN = 5.0
"""Seconds in which a run whose process was killed is closed by the agent, with all that it had reported."""
_PATIENCE = 60.0
_LONGEST_TIGHT = 0.05
_LONGEST = 1.0
_PAUSE = 0.0005


@dataclass(frozen=True)
class Killed:
    """What became of a run.

    Attributes:
        outcome: Of the plugin's process.
        ledger: What arrived.
        seconds: Until it had: from the end of its process, which is when it was killed or its agent had been.
    """

    outcome: Outcome
    ledger: Ledger
    seconds: float


def kill_one(place: Place, collector: Collector, number: int, victim: Victim, *, push: bool = False) -> Killed:
    """Let a run be killed, and wait until it has arrived: by itself, by the next start, or by `push`."""
    env, job, tight = place.env(collector), f"job-{number}", number % 2 == 0
    collector.clear()
    outcome = _kill(place, env, job, victim, tight=tight)
    began = time.monotonic()

    def is_settled() -> bool:
        closed = any("synapse.run.status" in span.attributes for span in collector.spans)  # soon said
        return closed and place.ledger(collector, outcome, job=job).is_settled

    with contextlib.suppress(AssertionError):  # what is missing then is in the ledger
        if push:
            place.push(env)
        if push or (victim != "both" and place.shipper == "agent"):
            wait_until(is_settled, _PATIENCE)
        else:
            place.next_start(env, is_settled, _PATIENCE)
    return Killed(outcome, place.ledger(collector, outcome, job=job), time.monotonic() - began)


def _kill(place: Place, env: Mapping[str, str], job: str, victim: Victim, *, tight: bool) -> Outcome:
    told = place.directory / f"{job}.end"
    if victim == "agent":
        code = "import victims; victims.report_until_told()"
        plugin = place.start({**env, "UNTIL": str(told)}, job, pause=_PAUSE, code=code)
    else:
        plugin = place.start(env, job, pause=0.0 if tight and victim == "plugin" else _PAUSE)
    plugin.wait_returned(1)
    if victim != "plugin":
        wait_until(lambda: agents(place.journal_dir), _PATIENCE)
    time.sleep(random.uniform(0, _LONGEST_TIGHT if tight else _LONGEST))
    if victim != "plugin":
        _kill_agents(place)
    if victim == "agent":
        time.sleep(random.uniform(0, _LONGEST))
        told.touch()
    else:
        plugin.kill(signal.SIGKILL)
    return plugin.wait()


def _kill_agents(place: Place) -> None:
    for pid in agents(place.journal_dir):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
