"""How much CPU the way of a message costs, from the call to the collector: ours, and the SDK's own pipeline.

Both deliver the same: each message as a log record, and as an event on a span of at most a hundred events. The SDK gets
queues that are large enough to drop nothing, and a span for every hundred messages, which by hand nobody has.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable
from pathlib import Path

from bench import directory, environment, ours, parser, table, verdict
from by_hand import by_hand
from peers.hand import ByHand
from receiver import receiver

from synapse_otel import TelemetrySettings
from synapse_otel.export.orphans import adopt
from synapse_otel.export.plan import shipping_plan
from synapse_otel.journal.directory import journals


def record(path: Path, count: int) -> None:
    """Log numbered messages into a journal that is kept."""
    variant = ours("shipping", path)
    for number in range(count):
        variant.target.log_message(f"message {number}")
    variant.close()


def deliver(path: Path, endpoint: str) -> None:
    """Deliver the one journal there is, in this thread."""
    with environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint):
        plan = shipping_plan(TelemetrySettings(journal_dir=path))
    orphan = adopt(next(journals(path)), plan.origin, plan.destination())
    assert orphan is not None
    while not orphan.is_done():
        orphan.delivery.step(time.monotonic())
    orphan.close()


def log_by_hand(target: ByHand, count: int) -> None:
    """Log numbered messages with the SDK, in a span for every hundred."""
    for first in range(0, count, 100):
        with target.tracer.start_as_current_span("part"):
            for number in range(first, min(first + 100, count)):
                target.log_message(f"message {number}")
    target.drain()


def run(path: Path, endpoint: str, count: int) -> None:
    """Log numbered messages in a run that is shipped meanwhile, and wait for the delivery."""
    variant = ours("shipping", path, endpoint, shipper="thread")  # so that all of it is in this process
    for number in range(count):
        variant.target.log_message(f"message {number}")
    variant.drain()
    variant.close()


def run_by_hand(endpoint: str, count: int) -> None:
    """The same with the SDK."""
    variant = by_hand(endpoint, max_queue_size=2 * count)
    variant.context.run(log_by_hand, variant.target, count)
    variant.close()


def cpu(function: Callable[..., object], *arguments: object) -> float:
    """CPU seconds of all threads of this process."""
    began = time.process_time()
    function(*arguments)
    return time.process_time() - began


def measure(endpoint: str, count: int) -> dict[str, float]:
    """CPU seconds of everything, once."""
    with directory() as kept, directory() as path:
        return {
            "by hand: calls and delivery": cpu(run_by_hand, endpoint, count),
            "ours: calls and delivery": cpu(run, path, endpoint, count),
            "ours: calls, offline": cpu(record, kept, count),
            "ours: push of the kept journal": cpu(deliver, kept, endpoint),
        }


def profiled(endpoint: str, count: int, functions: int) -> None:
    """Print which functions take the time of a delivery."""
    profile = cProfile.Profile()
    with directory() as path:
        record(path, count)
        profile.runcall(deliver, path, endpoint)
    pstats.Stats(profile).sort_stats("tottime").print_stats(functions)


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--messages", type=int, default=100_000, help="how many are delivered")
    options.add_argument("--rounds", type=int, default=3, help="how often; the best counts")
    options.add_argument("--profile", type=int, default=0, help="also show so many functions of our delivery")
    chosen = options.parse_args()
    count = chosen.messages
    with receiver() as endpoint:
        rounds = [measure(endpoint, count) for _ in range(chosen.rounds)]
        best = {name: min(measured[name] for measured in rounds) for name in rounds[0]}
        hand = best["by hand: calls and delivery"]
        rows: list[list[object]] = []
        for name, seconds in best.items():
            ratio = hand / seconds if "delivery" in name else None
            met = verdict(1 / ratio, 1) if ratio and name.startswith("ours") else None
            rows.append([name, 1e6 * seconds / count, int(count / seconds), ratio, met])
        table(
            f"CPU of {count:,} messages, the best of {chosen.rounds}; the budget is a ratio of 1, the aim 2.",
            ["what", "us per message", "messages per CPU second", "by hand / ours", "budget"],
            rows,
        )
        if chosen.profile:
            profiled(endpoint, count, chosen.profile)


if __name__ == "__main__":
    main()
