"""A program that reports more than the quota of the journal directory."""

from __future__ import annotations

import time
from types import SimpleNamespace

from plugin import Calls
from process_child import begin

ENOUGH = 1000
PATIENCE = 10.0
FILLING = " " + "x" * 4000


def main(name: str) -> None:
    """Make calls of long messages, and wait until some of them were dropped."""
    run = begin()
    long = SimpleNamespace(log_message=lambda text: run.ctx.log_message(text + FILLING))
    calls = Calls(long, run.counters, kinds=("message",))
    for number in range(run.options["calls"]):
        calls.make_one()
        if number % 100 == 0:
            time.sleep(run.options["pause"])
    deadline = time.monotonic() + PATIENCE
    while run.ctx.report().by_kind["message"].dropped < ENOUGH and time.monotonic() < deadline:
        time.sleep(0.05)
    run.finish()
