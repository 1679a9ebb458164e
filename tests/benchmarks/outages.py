"""What is delivered of a burst of messages while the collector misbehaves, and what the caller notices of it.

The messages are counted where they arrive, by distinct numbers, in log records and on spans.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import MS, Variant, directory, ours, parser, percentile, table
from by_hand import by_hand
from remote_collector import DropEveryThird, RemoteCollector, Says, remote_collector

from synapse_otel.testing import Refuse, Slow, Status

HEADER = [
    *("case", "accepted", "delivered", "dropped", "dead", "in logs", "on spans", "repeated"),
    *("loop s", "p99.9 us", "longest ms", "all after s"),
]


@dataclass(frozen=True)
class Case:
    """A way to misbehave.

    Attributes:
        name: What its row is called.
        prepare: Tells the collector what goes wrong, and when.
        messages: How many are logged, where it is not the common number.
        hand: Whether it is also measured by hand.
    """

    name: str
    prepare: Callable[[RemoteCollector], None]
    messages: int | None = None
    hand: bool = False


def _healthy(collector: RemoteCollector) -> None:
    """Nothing goes wrong."""


def _down_at_first(collector: RemoteCollector) -> None:
    collector.call("stop")
    collector.call("start", after=10.0)


def _unavailable_then_busy(collector: RemoteCollector) -> None:
    collector.call("fail", Status(503))
    collector.call("heal", after=3.0)
    for signal in ("traces", "logs"):
        collector.call("fail", Status(429, retry_after=2), 1, signal, after=3.01)


def _failing(fault: Any) -> Callable[[RemoteCollector], None]:
    return lambda collector: collector.call("fail", fault)


CASES = {
    "healthy": Case("a healthy collector", _healthy, hand=True),
    "slow": Case("50 ms per answer", _failing(Slow(0.05)), hand=True),
    "down": Case("down for the first 10 s", _down_at_first),
    "busy": Case("503 for 3 s, then 429 with Retry-After 2", _unavailable_then_busy),
    "poison": Case("400 for one poisoned record", _failing(Refuse(Says("message 500"))), messages=1_000),
    "drops": Case("every third connection dropped", _failing(DropEveryThird())),
    "trickle": Case("one second per answer", _failing(Slow(1.0))),
}


def burst(target: Any, count: int) -> list[int]:
    """Log numbered messages in a tight loop; return the nanoseconds of each call."""
    clock = time.perf_counter_ns
    times = []
    for number in range(count):
        message = f"message {number}"
        began = clock()
        target.log_message(message)
        times.append(clock() - began)
    return times


def measure(case: Case, variant: Variant, collector: RemoteCollector, count: int, timeout: float) -> list[object]:
    """One case for one variant: its row."""
    case.prepare(collector)
    began = time.perf_counter()
    times = variant.context.run(burst, variant.target, count)
    looped = time.perf_counter() - began
    counts: list[object] = [count, None, None, None]
    done: object = None
    if variant.name == "by hand":
        variant.drain()
        done = time.perf_counter() - began
        variant.close()
    else:
        done = time.perf_counter() - began if variant.target.flush(timeout) else "not all"
        of = variant.target.report().by_kind["message"]
        counts = [of.accepted, of.delivered, of.dropped, of.dead_lettered]
        variant.close()
    arrived = collector.arrived()
    ordered = sorted(times)
    return [
        *(f"{case.name}: {variant.name}", *counts, arrived.in_logs, arrived.on_spans, arrived.repeated),
        *(looped, percentile(ordered, 0.999) / 1000, ordered[-1] / MS, done),
    ]


def run(case: Case, path: Path, count: int, timeout: float) -> list[list[object]]:
    """The rows of a case, each with a collector of its own."""
    rows = []
    with remote_collector() as collector:
        rows.append(measure(case, ours("ours", path, collector.endpoint), collector, count, timeout))
    if case.hand:
        with remote_collector() as collector:
            rows.append(measure(case, by_hand(collector.endpoint), collector, count, timeout))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--messages", type=int, default=100_000, help="messages in a burst")
    options.add_argument("--timeout", type=float, default=300.0, help="seconds to wait for the delivery of a case")
    options.add_argument("--only", nargs="*", choices=[*CASES], default=[*CASES], help="which cases")
    chosen = options.parse_args(arguments)
    rows = []
    for name in chosen.only:
        case = CASES[name]
        with directory() as path:
            rows += run(case, path, case.messages or chosen.messages, chosen.timeout)
    table(
        f"Bursts of {chosen.messages:,} messages in a tight loop. 'delivered', 'dropped' and 'dead' are what report()"
        " says, 'in logs' and\n'on spans' what the collector has of distinct messages; 'all after' is from the first"
        " call until all was delivered.",
        HEADER,
        rows,
    )


if __name__ == "__main__":
    main()
