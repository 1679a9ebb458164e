"""What reporting costs a real loop: scikit-learn on its digits, progress and metrics on every batch, of each peer.

Each peer learns blocks of pairs of batches in a process of its own, with a report after one of each pair, which chance
chooses. What a pair differs in is what the report adds to the loop, however fast the machine is just then; what is done
in other threads meanwhile slows both. Loops share no processor with an agent or a receiver, as far as there are two.
"""

from __future__ import annotations

import random
import statistics
from array import array
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from bench import directory, parser, percentile, table, verdict
from peer import PEERS, Peer, prepared, running
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
    """

    batch: float
    added: float
    error: float

    @property
    def percent(self) -> float:
        """By how much the loop is slower."""
        return 100 * self.added / self.batch


def slowdowns(peers: Sequence[Peer], rounds: int = ROUNDS, pairs: int = PAIRS) -> dict[str, Slowdown]:
    """What the reports add with each peer, from interleaved blocks."""
    times: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
    with directory() as path, receiver() as endpoint, running(peers, endpoint, path) as processes:
        for process in processes:
            process.do("train", pairs=10)
        for _ in range(rounds):
            for process in random.sample(processes, len(processes)):
                times[process.peer.name] += process.do("train", pairs=SLOW.get(process.peer.name, pairs))
                process.do("drain")
    return {peer: _slowdown(found[::2], found[1::2]) for peer, found in times.items()}


def _slowdown(reported: Sequence[int], others: Sequence[int]) -> Slowdown:
    differences = sorted(one - other for one, other in zip(reported, others, strict=True))
    spread = percentile(differences, 0.75) - percentile(differences, 0.25)
    error = 1.25 * spread / 1.349 / len(differences) ** 0.5
    return Slowdown(*(time / US for time in (statistics.median(others), statistics.median(differences), error)))


def _met(peer: str, found: Slowdown) -> str | None:
    return verdict(found.percent, BUDGET) if peer.startswith("ours") else None


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
        ["peer", "a batch", "added", "+-", "slower, %", "budget", "slower"],
        [[name, one.batch, one.added, one.error, one.percent, BUDGET, _met(name, one)] for name, one in found.items()],
    )


if __name__ == "__main__":
    main()
