"""What reporting costs a real loop: scikit-learn on its digits, progress and metrics on every batch, of each peer.

Each peer learns blocks of pairs of batches in a process of its own, with a report after one of each pair, which chance
chooses, and without any in turn. What a pair differs in is what the report adds, however fast the machine is just then.
The CPU is that of all threads of the process, by the report, also for what is sent after a block; the speed of the
machine is in it. A block lasts longer than the second in which records are gathered. Loops share no processor with an
agent or a receiver here, as far as there are two.
"""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from bench import directory, parser, percentile, table, verdict
from peer import PEERS, Peer, Process, prepared, running
from receiver import receiver

ROUNDS, PAIRS = 4, 250
SLOW = {"mlflow": 50}
"""Pairs in a block of a peer that takes milliseconds for a call."""
BUDGET = 1.0
"""Percent."""
US = 1000


class Slowdown(NamedTuple):
    """What the reports add.

    Attributes:
        batch: Microseconds that a batch takes without.
        added: Microseconds that a batch takes longer with them.
        error: The standard error of that, from the quartiles of the pairs.
        cpu: Microseconds of CPU that are added.
    """

    batch: float
    added: float
    error: float
    cpu: float

    @property
    def percent(self) -> float:
        """By how much the loop is slower."""
        return 100 * self.added / self.batch


class Trained(NamedTuple):
    """Microseconds of the batches of a block that reported, of the others, and of CPU by the pair."""

    reported: list[float]
    others: list[float]
    cpu: float


def trained(process: Process, pairs: int, *, report: bool) -> Trained:
    """Have a block learned."""
    *times, cpu = process.do("train", pairs=pairs, report=report)
    microseconds = [time / US for time in times]
    return Trained(microseconds[::2], microseconds[1::2], cpu / US / pairs)


def slowdowns(peers: Sequence[Peer], rounds: int = ROUNDS, pairs: int = PAIRS) -> dict[str, Slowdown]:
    """What the reports add with each peer, from interleaved blocks."""
    bare, loaded = defaultdict[str, list[Trained]](list), defaultdict[str, list[Trained]](list)
    with directory() as path, receiver() as endpoint, running(peers, endpoint, path) as processes:
        for process in processes:
            trained(process, 10, report=True)
        for _ in range(rounds):
            for process in random.sample(processes, len(processes)):
                count = SLOW.get(process.peer.name, pairs)
                bare[process.peer.name].append(trained(process, count, report=False))
                loaded[process.peer.name].append(trained(process, count, report=True))
    return {peer: _slowdown(bare[peer], loaded[peer]) for peer in bare}


def _slowdown(bare: Sequence[Trained], loaded: Sequence[Trained]) -> Slowdown:
    differences = sorted(
        reported - other for block in loaded for reported, other in zip(block.reported, block.others, strict=True)
    )
    spread = percentile(differences, 0.75) - percentile(differences, 0.25)
    return Slowdown(
        statistics.median(chain.from_iterable(block.others for block in loaded)),
        statistics.median(differences),
        1.25 * spread / 1.349 / len(differences) ** 0.5,
        statistics.median(with_it.cpu - without.cpu for with_it, without in zip(loaded, bare, strict=True)),
    )


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=ROUNDS, help="blocks of each kind")
    options.add_argument("--pairs", type=int, default=PAIRS, help="pairs of batches in a block")
    options.add_argument("--only", nargs="*", choices=[peer.name for peer in PEERS], help="which peers")
    chosen = options.parse_args()
    found = slowdowns(prepared(chosen.only or ()), chosen.rounds, chosen.pairs)
    table(
        f"Microseconds per batch, medians of {chosen.rounds} blocks of {chosen.pairs} pairs of batches.",
        ["peer", "a batch", "added", "+-", "CPU added", "slower, %", "budget", "slower"],
        [
            [name, one.batch, one.added, one.error, one.cpu, one.percent, BUDGET, verdict(one.percent, BUDGET)]
            for name, one in found.items()
        ],
    )


if __name__ == "__main__":
    main()
