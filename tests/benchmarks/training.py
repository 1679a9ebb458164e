"""What reporting costs a real loop: scikit-learn on its digits, progress and metrics on every batch, of each peer.

Each peer learns blocks of batches in a process of its own, without reports and with them in turn. What is left to ship
at the end of a block is shipped after it, so a block lasts longer than the second in which records are gathered. 'CPU'
is that of all threads of the process, also after the block: a busy machine disturbs it less. Loops share no processor
with an agent or a receiver here, as far as there are two.
"""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from bench import directory, parser, percentile, table, verdict
from peer import PEERS, Peer, Process, prepared, running
from receiver import receiver

ROUNDS, BATCHES = 6, 500
SLOW = {"mlflow": 100}
"""Batches in a block of a peer that takes milliseconds for a call."""
BUDGET = 1.0
"""Percent."""
US = 1000


class Slowdown(NamedTuple):
    """What the reports add.

    Attributes:
        batch: Microseconds that a batch takes without.
        added: Microseconds that a batch takes longer with them.
        error: The standard error of that, from the quartiles.
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


def trained(process: Process, batches: int, *, report: bool) -> tuple[float, float]:
    """Microseconds per batch of a block, on the clock and of CPU."""
    wall, cpu = process.do("train", batches=batches, report=report)
    return wall / US / batches, cpu / US / batches


def slowdowns(peers: Sequence[Peer], rounds: int = ROUNDS, batches: int = BATCHES) -> dict[str, Slowdown]:
    """What the reports add with each peer, from interleaved blocks."""
    bare, loaded = defaultdict[str, list[tuple[float, float]]](list), defaultdict[str, list[tuple[float, float]]](list)
    with directory() as path, receiver() as endpoint, running(peers, endpoint, path) as processes:
        for process in processes:
            trained(process, 20, report=True)
        for _ in range(rounds):
            for process in random.sample(processes, len(processes)):
                count = SLOW.get(process.peer.name, batches)
                bare[process.peer.name].append(trained(process, count, report=False))
                loaded[process.peer.name].append(trained(process, count, report=True))
    return {peer: _slowdown(bare[peer], loaded[peer]) for peer in bare}


def _slowdown(bare: Sequence[tuple[float, float]], loaded: Sequence[tuple[float, float]]) -> Slowdown:
    differences = sorted(with_it[0] - without[0] for with_it, without in zip(loaded, bare, strict=True))
    spread = percentile(differences, 0.75) - percentile(differences, 0.25)
    return Slowdown(
        statistics.median(wall for wall, _ in bare),
        statistics.median(differences),
        1.25 * spread / 1.349 / len(differences) ** 0.5,
        statistics.median(with_it[1] - without[1] for with_it, without in zip(loaded, bare, strict=True)),
    )


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=ROUNDS, help="blocks of each kind")
    options.add_argument("--batches", type=int, default=BATCHES, help="batches in a block")
    options.add_argument("--only", nargs="*", choices=[peer.name for peer in PEERS], help="which peers")
    chosen = options.parse_args()
    found = slowdowns(prepared(chosen.only or ()), chosen.rounds, chosen.batches)
    table(
        f"Microseconds per batch, medians of {chosen.rounds} blocks of {chosen.batches} batches.",
        ["peer", "a batch", "added", "+-", "CPU added", "slower, %", "budget", "slower"],
        [
            [name, one.batch, one.added, one.error, one.cpu, one.percent, BUDGET, verdict(one.percent, BUDGET)]
            for name, one in found.items()
        ],
    )


if __name__ == "__main__":
    main()
