"""Short runs, one after another in one process, and what the process holds before and after them.

Run as a program by `short_runs`.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from pathlib import Path

from synapse_otel import RuntimeContext

WARM_UP = 70
"""More runs than a process remembers to see off at its end."""


def report(number: int) -> None:
    """Be a short run."""
    with RuntimeContext.open(f"job-{number}", "short") as ctx:
        ctx.set_progress(1, 1, "all of it")
        ctx.log_message("hello")


def held() -> dict[str, int]:
    """What this process holds."""
    gc.collect()
    return {
        "threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "maps": len(Path("/proc/self/maps").read_text().splitlines()),
        "objects": sys.getallocatedblocks(),
    }


def main() -> None:
    """Run some, look, run more, look again."""
    count = int(sys.argv[1])
    for number in range(WARM_UP):
        report(number)
    before = held()
    for number in range(WARM_UP, WARM_UP + count):
        report(number)
    print(json.dumps([before, held()]))


if __name__ == "__main__":
    main()
