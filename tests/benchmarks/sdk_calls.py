"""What the instrumentor adds to a call of the Synapse SDK: each call with and without it, interleaved in one run.

Needs the SDK: ``.venv-synapse/bin/python tests/benchmarks/sdk_calls.py``.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from bench import US, directory, environment, parser, percentile, table, timer_overhead
from receiver import receiver

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from synapse_sdk.loggers import BaseLogger, ConsoleLogger, JobLogger, NoOpLogger
    from synapse_sdk.plugins.context import PluginEnvironment, RuntimeContext

from synapse_otel.sdk import SynapseInstrumentor

Call = Callable[[RuntimeContext, int], None]

METRICS = {"loss": 0.53, "accuracy": 0.81, "lr": 0.001}
DATA = {"epoch": 3, "loss": 0.53, "path": "model.pt"}
CALLS: dict[str, Call] = {
    "set_progress": lambda ctx, i: ctx.set_progress(i, 1_000_000_000, "train"),
    "set_metrics, 3 keys": lambda ctx, i: ctx.set_metrics(METRICS, "train"),
    "log, 3 keys": lambda ctx, i: ctx.log("checkpoint", DATA),
    "log_message": lambda ctx, i: ctx.log_message("loaded the batch number 17"),
    "log_dev_event, 1 key": lambda ctx, i: ctx.log_dev_event("cache miss", {"size": 4096}),
    "log_metric, 2 keys": lambda ctx, i: ctx.log_metric("train", "loss", 0.53, accuracy=0.81),
}


class Backend:
    """A client of the Synapse backend that takes everything at once."""

    def update_job(self, job_id: str, data: Any) -> None:
        """Take progress and metrics."""

    def create_logs(self, logs: Any) -> None:
        """Take log entries."""


LOGGERS: dict[str, Callable[[], BaseLogger]] = {
    "NoOpLogger": NoOpLogger,
    "ConsoleLogger": ConsoleLogger,
    "JobLogger": lambda: JobLogger(Backend(), "benchmark"),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=20, help="how often instrumented and plain blocks alternate")
    options.add_argument("--calls", type=int, default=1000, help="calls of a block")
    chosen = options.parse_args()
    overhead = timer_overhead()
    with (
        directory() as journals,
        receiver() as endpoint,
        environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, SYNAPSE_OTEL_JOURNAL_DIR=str(journals)),
    ):
        rows = [
            row(f"{name}, {what}", call, make, chosen.rounds, chosen.calls, overhead)
            for name, make in LOGGERS.items()
            for what, call in CALLS.items()
        ]
    table(
        "Microseconds per call of the Synapse SDK, while exporting: median, 99.9th percentile",
        ("logger, call", "SDK", "instrumented", "added", "SDK 99.9", "instrumented 99.9"),
        rows,
    )


def row(
    name: str, call: Call, make: Callable[[], BaseLogger], rounds: int, calls: int, overhead: int
) -> tuple[object, ...]:
    """Measure one call of one logger, with and without, in turns."""
    instrumentor = SynapseInstrumentor()
    times: dict[bool, list[int]] = {False: [], True: []}
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        for number in range(2 * rounds):
            instrumented = number % 2 == 1
            if instrumented:
                instrumentor.instrument()
            ctx = RuntimeContext(logger=make(), env=PluginEnvironment({}), job_id="benchmark")
            block(ctx, call, 10)
            time.sleep(0.3)  # a run begins with its first report: its threads, and what they import
            times[instrumented] += block(ctx, call, calls)
            ctx.logger.finish()
            if instrumented:
                instrumentor.uninstrument()
    plain, ours = (sorted(times[kind]) for kind in (False, True))
    medians = [(statistics.median(one) - overhead) / US for one in (plain, ours)]
    tails = [(percentile(one, 0.999) - overhead) / US for one in (plain, ours)]
    return name, *medians, medians[1] - medians[0], *tails


def block(ctx: RuntimeContext, call: Call, calls: int) -> list[int]:
    """The nanoseconds of each of a number of calls."""
    clock, times = time.perf_counter_ns, []
    for i in range(calls):
        began = clock()
        call(ctx, i)
        times.append(clock() - began)
    return times


if __name__ == "__main__":
    sys.exit(main())
