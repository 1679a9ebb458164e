"""What a call of ours costs under conditions, on every Python that is there: medians, while the agent ships."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from bench import US, directory, parser, table, timer_overhead, verdict
from calls import CALLS, Block, share
from environments import OURS
from peer import BY_HAND, ours, running
from receiver import receiver

ROUNDS, CALLS_IN_BLOCK = 20, 1_000
THREADS = 8
BUSY = "beside a busy thread"
PROCESSES = {"": "default", "in a step": "in a step", BUSY: "default"}
"""Processes of each Python, and the variant of ours in each; a busy one would take the processor from the others."""


class Condition(NamedTuple):
    """What is measured.

    Attributes:
        name: What it is called.
        call: Which call it is, whose budget holds.
        code: What stands in the loop.
        threads: How many make the call at once.
    """

    name: str
    call: str
    code: str
    threads: int = 1


class Cost(NamedTuple):
    """Median microseconds of a call, ours and by hand, and the share."""

    median: float
    by_hand: float
    share: float


USUAL = [Condition(name, name, call.code) for name, call in CALLS.items()]
VARIED = [
    Condition("set_progress, a fraction", "set_progress", "ctx.set_progress(i * 1e-9, 1.0, 'fraction')"),
    Condition("set_progress, no category", "set_progress", "ctx.set_progress(i, 1_000_000_000)"),
    Condition("set_metrics, no category", "set_metrics", "ctx.set_metrics(metrics)"),
    Condition("set_metrics, nested", "set_metrics", "ctx.set_metrics(nested_metrics, 'train')"),
    Condition("set_metrics, NumPy's scalars", "set_metrics", "ctx.set_metrics(scalars, 'train')"),
    Condition("log, nested data", "log", "ctx.log('checkpoint', nested)"),
    Condition("log, NumPy's scalars", "log", "ctx.log('checkpoint', scalars)"),
]
CROWDED = [Condition(f"{name}, {THREADS} threads", name, call.code, THREADS) for name, call in CALLS.items()]


def conditions(process: str) -> list[Condition]:
    """What is measured in a process."""
    if not process:
        return [*USUAL, *VARIED, *CROWDED]
    return [condition._replace(name=f"{condition.name}, {process}") for condition in [*USUAL, *VARIED[1:3]]]


def measured(versions: Sequence[str], rounds: int, count: int) -> dict[Condition, dict[str, Cost]]:
    """What calls cost by condition and Python, and by hand; of the processes of a Python one kind at a time."""
    times: defaultdict[tuple[Condition, str, bool], list[Block]] = defaultdict(list)
    with receiver() as endpoint:
        for process, variant in PROCESSES.items():
            mine = [ours(version, "agent", OURS[version], variant) for version in versions]
            hand = [replace(BY_HAND, name=f"{version} by hand", environment=OURS[version]) for version in versions]
            with directory() as path, running([*mine, *hand], endpoint, path) as processes:
                if process == BUSY:
                    for one in processes:
                        one.do("busy")
                for _ in range(rounds):
                    for condition in conditions(process):
                        for one in processes:
                            version, *by_hand = one.peer.name.split(" ", 1)
                            key = condition, version, bool(by_hand)
                            code = CALLS[condition.call].code if by_hand else condition.code
                            times[key].append(one.do("call", call=code, count=count, threads=condition.threads))
                            one.do("drain")
    overhead, costs = timer_overhead(), defaultdict[Condition, dict[str, Cost]](dict)
    for condition, version in dict.fromkeys((condition, version) for condition, version, _ in times):
        blocks, by_hand = (times[condition, version, hand] for hand in (False, True))
        medians = (max(0, statistics.median(chain(*found)) - overhead) / US for found in (blocks, by_hand))
        costs[condition][version] = Cost(*medians, share(blocks, by_hand, overhead))
    return costs


def printed(costs: Mapping[Condition, Mapping[str, Cost]], versions: Sequence[str]) -> None:
    """Print the table."""
    rows: list[list[object]] = []
    for condition, by_version in costs.items():
        share, budget = max(cost.share for cost in by_version.values()), CALLS[condition.call].share
        medians = [cost.median for cost in by_version.values()]
        hand = [cost.by_hand for cost in by_version.values()]
        rows.append([condition.name, *medians, *hand, share, budget, verdict(share, budget)])
    table(
        "Ours, shipped by the agent, under conditions and by the version of Python: median microseconds per call."
        "\nBy hand it is the plain call, in as many threads and beside as busy ones. The largest share of it counts.",
        ["call", *versions, *(f"hand {version}" for version in versions), "share", "budget", "share"],
        rows,
    )


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=ROUNDS, help="interleaved rounds")
    options.add_argument("--calls", type=int, default=CALLS_IN_BLOCK, help="calls in a block of a thread")
    chosen = options.parse_args()
    versions = [version for version, environment in OURS.items() if environment.prepare()]
    printed(measured(versions, chosen.rounds, chosen.calls), versions)


if __name__ == "__main__":
    main()
