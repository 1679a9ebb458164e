"""What a call of ours costs under conditions, on every Python that is there: medians, while the agent ships."""

from __future__ import annotations

import statistics
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench import US, directory, parser, table, timer_overhead, verdict
from calls import CALLS
from environments import OURS
from peer import ours, running
from receiver import receiver

ROUNDS, CALLS_IN_BLOCK = 5, 4_000
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


def measured(versions: Sequence[str], rounds: int, count: int) -> dict[Condition, dict[str, float]]:
    """The median microseconds of a call by condition and Python; of the three processes of a Python one at a time."""
    times: defaultdict[tuple[Condition, str], array[int]] = defaultdict(lambda: array("q"))
    with receiver() as endpoint:
        for process, variant in PROCESSES.items():
            peers = [ours(version, "agent", OURS[version], variant) for version in versions]
            with directory() as path, running(peers, endpoint, path) as processes:
                if process == BUSY:
                    for one in processes:
                        one.do("busy")
                for _ in range(rounds):
                    for condition in conditions(process):
                        for one in processes:
                            times[condition, one.peer.name] += one.do(
                                "call", call=condition.code, count=count, threads=condition.threads
                            )
    overhead, medians = timer_overhead(), defaultdict[Condition, dict[str, float]](dict)
    for (condition, version), found in times.items():
        medians[condition][version] = max(0, statistics.median(found) - overhead) / US
    return medians


def printed(medians: Mapping[Condition, Mapping[str, float]], versions: Sequence[str]) -> None:
    """Print the table."""
    rows: list[list[object]] = []
    for condition, by_version in medians.items():
        budget = CALLS[condition.call].budget
        rows.append([condition.name, *by_version.values(), budget, verdict(max(by_version.values()), budget)])
    table(
        "Ours, shipped by the agent, under conditions and by the version of Python: median microseconds per call.",
        ["call", *versions, "budget", "medians"],
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
