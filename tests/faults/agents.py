"""The agents of a journal directory, which a test must not leave behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from synapse_otel.agent import state
from synapse_otel.agent.place import places

_GRACE = 3.0
"""Seconds in which an idle agent goes by itself: its idle time is 0.5 in the tests."""
_TICK = 0.02


def agents(journal_dir: Path) -> list[int]:
    """The process ids of the agents that live and say so."""
    return [agent.pid for agent in state.agents(journal_dir)]


def end_agents(journal_dir: Path, *, wait: bool = True) -> None:
    """Wait for agents to go, unless told not to, and end those that are left, one that just starts among them."""
    for how in (None, signal.SIGTERM, signal.SIGKILL) if wait else (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _GRACE
        told: set[int] = set()
        while _any_lives(journal_dir):
            if time.monotonic() > deadline:
                break
            for pid in set(agents(journal_dir)) - told if how else ():  # one that was starting says so late
                told.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, how)
            time.sleep(_TICK)
    assert not _any_lives(journal_dir), f"agents are left that SIGKILL does not end: {agents(journal_dir)}"


def _any_lives(journal_dir: Path) -> bool:
    return any(place.is_taken() for place in places(journal_dir))
