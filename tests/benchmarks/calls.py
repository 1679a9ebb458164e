"""What a call costs the plugin: ours beside its peers, each in an environment of its own, interleaved in one run."""

from __future__ import annotations

import statistics
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, TypeAlias

from bench import US, directory, parser, percentile, table, timer_overhead, verdict
from peer import BY_HAND, PEERS, Peer, Process, prepared, running
from receiver import receiver

ROUNDS, CALLS_IN_BLOCK = 20, 2_000
Block: TypeAlias = "array[int]"
"""Nanoseconds of calls, one after another."""


@dataclass(frozen=True)
class Call:
    """A call, and what its median may be: a share of that by hand in the same run, for machines differ, and hours too.

    Attributes:
        code: What stands in the loop.
        budget: Microseconds, on a machine on which it takes the next by hand.
        by_hand: Microseconds.
    """

    code: str
    budget: float
    by_hand: float

    @property
    def share(self) -> float:
        """The budget as a share."""
        return self.budget / self.by_hand


class Cost(NamedTuple):
    """Microseconds per call: the median, the 99th and the 99.9th percentile; and the median as a share of by hand."""

    median: float
    p99: float
    p999: float
    share: float


CALLS = {
    "set_progress": Call("ctx.set_progress(i, 1_000_000_000, 'train')", 0.5, 16.5),
    "set_metrics": Call("ctx.set_metrics(metrics, 'train')", 2.0, 16.8),
    "log": Call("ctx.log('checkpoint', data)", 2.5, 14.1),
    "log_message": Call("ctx.log_message('loaded the batch number 17')", 2.0, 13.0),
    "log_dev_event": Call("ctx.log_dev_event('cache miss', details)", 2.5, 9.5),
}


def measured(processes: Sequence[Process], rounds: int, count: int) -> dict[str, dict[str, Cost]]:
    """What each call costs each peer, in interleaved blocks of so many calls, by call and peer."""
    times: defaultdict[tuple[str, str], list[Block]] = defaultdict(list)
    for number in range(rounds):
        for name, call in CALLS.items():
            for process in processes[number % len(processes) :] + processes[: number % len(processes)]:
                if name not in process.peer.lacks:
                    times[name, process.peer.name].append(process.do("call", call=call.code, count=count))
                    process.do("drain")
    return by_call(times)


def by_call(times: Mapping[tuple[str, str], Sequence[Block]]) -> dict[str, dict[str, Cost]]:
    """What the calls cost by their times, less that of the clock."""
    overhead, costs = timer_overhead(), defaultdict[str, dict[str, Cost]](dict)
    for (name, peer), blocks in times.items():
        ordered = sorted(chain.from_iterable(blocks))
        values = statistics.median(ordered), percentile(ordered, 0.99), percentile(ordered, 0.999)
        of_by_hand = share(blocks, times[name, BY_HAND.name], overhead)
        costs[name][peer] = Cost(*(max(0, value - overhead) / US for value in values), of_by_hand)
    return costs


def share(blocks: Iterable[Block], by_hand: Iterable[Block], overhead: float) -> float:
    """What a call costs as a share of by hand, the median of the rounds: the machine's speed changes between them."""
    pairs = zip(blocks, by_hand, strict=True)
    return statistics.median(_median(block, overhead) / _median(hand, overhead) for block, hand in pairs)


def _median(block: Block, overhead: float) -> float:
    return max(0, statistics.median(block) - overhead)


def all_calls(peers: Sequence[Peer], rounds: int = ROUNDS, count: int = CALLS_IN_BLOCK) -> dict[str, dict[str, Cost]]:
    """Run the peers, and measure their calls."""
    with directory() as path, receiver() as endpoint, running(peers, endpoint, path) as processes:
        return measured(processes, rounds, count)


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=ROUNDS, help="interleaved rounds")
    options.add_argument("--calls", type=int, default=CALLS_IN_BLOCK, help="calls in a block")
    options.add_argument(
        "--only", nargs="*", choices=[peer.name for peer in PEERS], help="which peers; by hand in any case"
    )
    chosen = options.parse_args()
    peers = prepared([BY_HAND.name, *chosen.only] if chosen.only else ())
    costs = all_calls(peers, chosen.rounds, chosen.calls)
    rows: list[list[object]] = []
    for name, by_peer in costs.items():
        for peer, cost in by_peer.items():
            budget = CALLS[name].share if peer.startswith("ours") else None
            rows.append([f"{name}: {peer}", *cost, budget, verdict(cost.share, budget) if budget else None])
    table(
        f"Microseconds per call on the caller's thread, while what is sent is sent: {chosen.rounds} interleaved rounds"
        f"\nof {chosen.calls:,} calls (fewer of those that take more than a second), less those of the clock.",
        ["call", "median", "p99", "p99.9", "of by hand", "budget", "share"],
        rows,
    )


if __name__ == "__main__":
    main()
