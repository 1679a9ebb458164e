"""What each shipper costs the plugin: threads of its process, the agent, and nobody (`off`), taking turns.

Each turn is a fresh process that computes in pure Python and reports an event, metrics and a message every 0.1 ms or
so, while all of it is shipped to a collector in a process of its own. A thread that exports shares the interpreter
with the loop.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import directory, parser, table
from remote_collector import remote_collector

MODES = ("off", "agent", "thread")

_PLUGIN = """
import json, resource, sys, time
began = time.perf_counter()
from synapse_otel import RuntimeContext
imported = time.perf_counter()
ctx = RuntimeContext.open("job-" + sys.argv[1], "shippers")
opened = time.perf_counter()
clock, taken, batches = time.perf_counter_ns, [], 0
end = time.monotonic() + float(sys.argv[2])
cpu = time.process_time()
while time.monotonic() < end:
    for call in (
        lambda: ctx.log("batch", {"number": batches, "loss": 0.25, "phase": "train"}),
        lambda: ctx.set_metrics({"loss": 0.25, "accuracy": 0.5, "rate": 0.1}, "training"),
        lambda: ctx.log_message("a message to the user"),
    ):
        before = clock()
        call()
        taken.append(clock() - before)
    batches += 1
    sum(number * number for number in range(1000))
computed = time.process_time() - cpu
ending = time.perf_counter()
ctx.logger.finish()
finished = time.perf_counter()
taken.sort()
at = lambda part: taken[min(len(taken) - 1, int(part * len(taken)))] / 1000
print(json.dumps({
    "batches / s": batches / float(sys.argv[2]), "median": at(0.5), "99 %": at(0.99), "99.9 %": at(0.999),
    "99.99 %": at(0.9999), "longest": at(1), "CPU s": computed, "open ms": 1000 * (opened - imported),
    "finish ms": 1000 * (finished - ending), "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def turn(mode: str, endpoint: str, journals: str, seconds: float) -> dict[str, float]:
    """Run the plugin once with a shipper; return what it measured, times in microseconds where not said otherwise."""
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "SYNAPSE_OTEL_JOURNAL_DIR": journals,
        "SYNAPSE_OTEL_SHIPPER": mode,
        "SYNAPSE_OTEL_FINISH_TIMEOUT": "60",
    }
    command = [sys.executable, "-c", _PLUGIN, mode, str(seconds)]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    measured: dict[str, float] = json.loads(out)
    return measured


def main() -> None:
    """Take turns, and print the medians."""
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=5.0)
    chosen = arguments.parse_args()
    found: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
    with remote_collector() as collector, directory() as root:
        for number in range(chosen.rounds):
            for mode in MODES[number % 3 :] + MODES[: number % 3]:
                path = root / mode / (str(number) if mode == "off" else "")
                found[mode].append(turn(mode, collector.endpoint, str(path), chosen.seconds))
    columns = list(found["off"][0])
    rows: list[list[Any]] = [
        [mode, *(round(statistics.median(run[column] for run in found[mode]), 1) for column in columns)]
        for mode in MODES
    ]
    title = f"What a shipper costs the plugin: medians of {chosen.rounds} rounds of {chosen.seconds:g} s; calls in µs"
    table(title, ["shipper", *columns], rows)


if __name__ == "__main__":
    main()
