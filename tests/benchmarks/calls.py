"""What a call costs the plugin: each method in a tight loop, ours beside the SDK by hand, interleaved in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any

from bench import US, Variant, directory, ours, parser, percentile, table, timer_overhead, verdict
from by_hand import by_hand
from receiver import receiver

from synapse_otel import NoOpLogger, PluginEnvironment, RuntimeContext

# What is called, and the median that DESIGN 7 allows in microseconds.
CALLS = {
    "set_progress": ("ctx.set_progress(i, 1_000_000_000, 'train')", 0.5),
    "set_metrics, 3 keys": ("ctx.set_metrics(metrics, 'train')", 2.0),
    "log, 3 keys": ("ctx.log('checkpoint', data)", 2.5),
    "log_message": ("ctx.log_message('loaded the batch number 17')", 2.0),
    "log_dev_event, 2 keys": ("ctx.log_dev_event('cache miss', details)", 2.5),
}
_ARGUMENTS = {
    "metrics": {"loss": 0.53, "accuracy": 0.81, "lr": 0.001},
    "data": {"epoch": 3, "loss": 0.53, "path": "model.pt"},
    "details": {"layer": "conv1", "size": 4096},
}
# As timeit does it: the call stands in the loop itself, so that nothing but it is measured.
_SINGLE = """
def single(ctx, clock, numbers, times):
    for i in numbers:
        began = clock()
        {call}
        times.append(clock() - began)
"""
_BATCH = """
def batch(ctx, clock, numbers):
    began = clock()
    for i in numbers:
        {call}
    return clock() - began
"""
BATCH = 250


class Timings:
    """What was measured of one call of one variant."""

    def __init__(self) -> None:
        self.single: list[int] = []
        self.batches: list[float] = []
        self.blocks_shipping = 0

    def row(self, overhead: int) -> tuple[float, float, float, float]:
        """Median, 99.9th percentile and maximum, and the mean of the fastest batch, in microseconds."""
        ordered = sorted(self.single)
        median = max(0, statistics.median(ordered) - overhead)
        tail = percentile(ordered, 0.999) - overhead
        return median / US, tail / US, ordered[-1] / US, min(self.batches) / US


def compiled(template: str, call: str) -> Callable[..., Any]:
    """The loop around a call."""
    namespace: dict[str, Any] = dict(_ARGUMENTS)
    exec(template.format(call=call), namespace)
    return next(namespace[name] for name in ("single", "batch") if name in namespace)


def measure(variant: Variant, call: str, first: int, count: int, timings: Timings) -> None:
    """One block of a call: single calls for the percentiles, then batches for the mean."""
    clock = time.perf_counter_ns
    single, batch = compiled(_SINGLE, call), compiled(_BATCH, call)
    variant.context.run(single, variant.target, clock, range(first, first + count), timings.single)
    for start in range(first + count, first + 2 * count, BATCH):
        took = variant.context.run(batch, variant.target, clock, range(start, start + BATCH))
        timings.batches.append(took / BATCH)


def measure_shipping(variant: Variant, call: str, first: int, count: int, timings: Timings, backlog: int) -> None:
    """One block while the shipper has so much to do that it ships during all of it."""

    def begin() -> None:
        for number in range(backlog):
            variant.target.log_message(f"backlog {number}")

    variant.context.run(begin)
    variant.target.flush(0)  # wakes it
    time.sleep(0.05)
    measure(variant, call, first, count, timings)
    timings.blocks_shipping += not variant.target.flush(0)
    variant.drain()


def no_op() -> Variant:
    """Ours without anything behind it."""
    context = RuntimeContext(NoOpLogger(), PluginEnvironment({}), "benchmark")
    return Variant("NoOpLogger", context, Context(), lambda: None, lambda: None)


def run(variants: Sequence[Variant], rounds: int, count: int, backlog: int) -> dict[tuple[str, str], Timings]:
    """All calls of all variants, in rounds; the shipping one once more, while it ships a backlog."""
    results: dict[tuple[str, str], Timings] = {}
    for number in range(rounds):
        for name, (call, _) in CALLS.items():
            for variant in variants:
                first = 1 + number * 2 * count
                measure(variant, call, first, count, results.setdefault((name, variant.name), Timings()))
                variant.drain()
        for name, (call, _) in CALLS.items():
            shipping = next(variant for variant in variants if variant.name == "ours")
            first = 1 + (number + rounds) * 2 * count
            timings = results.setdefault((name, "ours, exporting"), Timings())
            measure_shipping(shipping, call, first, count, timings, backlog)
    return results


def report(results: dict[tuple[str, str], Timings], rounds: int, count: int) -> None:
    """Print everything, the ratio to by hand and the budgets."""
    overhead = timer_overhead()
    shipping = sum(timings.blocks_shipping for timings in results.values())
    rows: list[list[object]] = []
    for name, (_, budget) in CALLS.items():
        hand = results[name, "by hand"].row(overhead)
        for (call, variant), timings in results.items():
            if call != name:
                continue
            median, tail, longest, best = timings.row(overhead)
            ratio = hand[0] / median if median else None
            row: list[object] = [f"{name}: {variant}", median, tail, longest, best, ratio]
            row += [budget, verdict(median, budget)] if variant.startswith("ours") else [None, None]
            row.append(verdict(tail, hand[1]) if variant.startswith("ours") else None)
            rows.append(row)
    table(
        f"Microseconds per call on the caller's thread: {rounds} interleaved rounds of {count:,} single calls for the"
        f" median and the\n99.9th percentile (less the clock's {overhead} ns), and of {count:,} in batches of {BATCH}"
        " for the mean of the fastest batch.\n'ours, exporting' is the same while the thread ships a backlog, which"
        f" lasted to the end of {shipping} of {rounds * len(CALLS)} blocks.",
        ["call", "median", "p99.9", "max", "best mean", "x faster", "budget", "median", "p99.9 <= by hand"],
        rows,
    )


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=6, help="interleaved rounds")
    options.add_argument("--calls", type=int, default=5_000, help="single calls, and calls in batches, in a block")
    options.add_argument("--backlog", type=int, default=20_000, help="messages to ship in the rows 'exporting'")
    chosen = options.parse_args()
    with directory() as path, receiver() as endpoint:
        variants = [by_hand(endpoint), ours("ours", path / "a", endpoint), ours("ours, offline", path / "b"), no_op()]
        results = run(variants, chosen.rounds, chosen.calls, chosen.backlog)
        for variant in variants:
            variant.close()
    report(results, chosen.rounds, chosen.calls)


if __name__ == "__main__":
    main()
