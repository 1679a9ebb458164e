"""A program of many runs, each with a journal of its own, that waits to be killed."""

from __future__ import annotations

import json
import sys
import time

from plugin import Calls, open_counters

from synapse_otel import RuntimeContext

FOREVER = 3600.0


def main(name: str) -> None:
    """Make the calls of as many runs as there are `workers`."""
    options = json.loads(sys.argv[1])
    counters = open_counters(options["counters"])
    contexts = [RuntimeContext.open(f"{name}-{worker}", "faulty") for worker in range(options["workers"])]
    for worker, ctx in enumerate(contexts):
        Calls(ctx, counters, worker, tuple(options["kinds"])).make(options["calls"])
    time.sleep(FOREVER)
