"""The plugins whose agent is killed, in their processes."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import plugin
from agents import agents
from procfs import resident


def report_until_told() -> None:
    """Report until there is the file that the environment names, and end as plugins do."""
    options, ctx, calls, warnings = _begin()
    told = Path(os.environ["UNTIL"])
    while not told.exists():
        calls.make_one()
        time.sleep(options["pause"])
    plugin.finish(ctx, options, warnings)


def kill_the_agent_at_the_end() -> None:
    """Report, kill the agent, and end at once."""
    options, ctx, calls, warnings = _begin()
    journal_dir = Path(os.environ["SYNAPSE_OTEL_JOURNAL_DIR"])
    while not agents(journal_dir):
        calls.make_one()
        time.sleep(options["pause"])
    for pid in agents(journal_dir):
        os.kill(pid, signal.SIGKILL)
        while resident(pid)[0]:  # it holds its locks until then
            time.sleep(0.001)
    plugin.finish(ctx, options, warnings)


def _begin() -> tuple[dict[str, Any], Any, plugin.Calls, plugin.Warnings]:
    options = json.loads(sys.argv[1])
    warnings = plugin.Warnings()
    ctx = plugin.open_context(options)
    return options, ctx, plugin.Calls(ctx, plugin.open_counters(options["counters"])), warnings
