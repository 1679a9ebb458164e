"""What reporting costs a real loop: scikit-learn on its digits, progress and metrics on every batch.

Blocks of batches without reports, with ours and by hand take turns, in another order each time. The cost of a variant
is what its blocks take longer than the bare ones of the same round, so it holds what the exporting threads take from
the loop, too. What is left to ship at the end of a block is shipped after it, so a block has to last many times the
second in which records are gathered, or most of the shipping is not in it. 'CPU added' is CPU time of all threads, that
of what is left included, which a busy machine disturbs less and no length of a block hides; 'in the calls' is the time
inside the two calls alone, with the caches as the training leaves them.
"""

from __future__ import annotations

import random
import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Sequence
from contextvars import Context
from typing import Any, NamedTuple

from bench import Variant, directory, ours, parser, percentile, table, verdict
from by_hand import by_hand
from receiver import receiver

BUDGET = 25.0


class Training:
    """A small network that learns digits, batch by batch, for ever."""

    def __init__(self, batch: int, hidden: int) -> None:
        from sklearn.datasets import load_digits
        from sklearn.neural_network import MLPClassifier

        warnings.filterwarnings("ignore")
        images, labels = load_digits(return_X_y=True)
        self._batches = [(images[i : i + batch], labels[i : i + batch]) for i in range(0, len(images) - batch, batch)]
        self._network = MLPClassifier(hidden_layer_sizes=(hidden,), batch_size=batch, random_state=0)
        self._network.partial_fit(*self._batches[0], classes=list(range(10)))
        self._number = 0

    def step(self) -> float:
        """Learn one batch; return the loss."""
        self._number += 1
        self._network.partial_fit(*self._batches[self._number % len(self._batches)])
        return float(self._network.loss_)


class Block(NamedTuple):
    """Microseconds per batch of a block: on the clock, of CPU in all threads, and inside the calls."""

    wall: float
    cpu: float
    inside: float


def block(training: Training, target: Any, batches: int) -> Block:
    """A block of batches with reports, without any where there is no target."""
    clock = time.perf_counter_ns
    inside = 0
    start, start_cpu = clock(), time.process_time_ns()
    for number in range(1, batches + 1):
        loss = training.step()
        if target is not None:
            began = clock()
            target.set_progress(number, batches, "train")
            target.set_metrics({"loss": loss, "accuracy": 1 - loss, "lr": 0.001}, "train")
            inside += clock() - began
    nanoseconds = (clock() - start, time.process_time_ns() - start_cpu, inside)
    return Block(*(value / 1000 / batches for value in nanoseconds))


def run(variants: Sequence[Variant], training: Training, rounds: int, batches: int) -> dict[str, list[Block]]:
    """All blocks: for each variant what each block took."""
    blocks: dict[str, list[Block]] = defaultdict(list)
    for _ in range(rounds):
        for variant in random.sample(variants, len(variants)):
            measured = variant.context.run(block, training, variant.target, batches)
            began = time.process_time_ns()
            variant.drain()
            left = (time.process_time_ns() - began) / 1000 / batches
            blocks[variant.name].append(measured._replace(cpu=measured.cpu + left))
    return blocks


def added(mine: Sequence[float], base: Sequence[float]) -> tuple[float, float]:
    """The median difference to the bare block of the same round, and its standard error from the quartiles."""
    differences = sorted(one - other for one, other in zip(mine, base, strict=True))
    spread = percentile(differences, 0.75) - percentile(differences, 0.25)
    return statistics.median(differences), 1.25 * spread / 1.349 / len(differences) ** 0.5


def row(name: str, blocks: list[Block], base: list[Block]) -> list[object]:
    """A variant's row."""
    per_batch = statistics.median(one.wall for one in blocks)
    if blocks is base:
        return [name, per_batch, *[None] * 7]
    wall, error = added([one.wall for one in blocks], [one.wall for one in base])
    cpu, cpu_error = added([one.cpu for one in blocks], [one.cpu for one in base])
    inside = statistics.median(one.inside for one in blocks)
    mine = name.startswith("ours")
    budget = [BUDGET, verdict(wall, BUDGET)] if mine else [None, None]
    return [name, per_batch, wall, error, cpu, cpu_error, inside, *budget]


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=8, help="blocks of each variant")
    options.add_argument("--batches", type=int, default=2000, help="batches in a block")
    options.add_argument("--batch-size", type=int, default=200, help="images in a batch")
    options.add_argument("--hidden", type=int, default=512, help="neurons of the hidden layer")
    chosen = options.parse_args()
    from threadpoolctl import threadpool_limits

    # One thread of BLAS: with more, the loop measures how they get into each other's way.
    with threadpool_limits(1), directory() as path, receiver() as endpoint:
        training = Training(chosen.batch_size, chosen.hidden)
        nothing = Variant("bare", None, Context(), lambda: None, lambda: None)
        kept = ours("ours, offline", path / "b")
        variants = [nothing, ours("ours", path / "a", endpoint), kept, by_hand(endpoint)]
        blocks = run(variants, training, chosen.rounds, chosen.batches)
        for variant in variants:
            variant.close()
    table(
        f"Microseconds per batch of {chosen.batch_size} images, medians of {chosen.rounds} blocks of {chosen.batches}"
        " batches.",
        ["loop", "per batch", "added", "+-", "CPU added", "+-", "in the calls", "budget", "added"],
        [row(variant.name, blocks[variant.name], blocks["bare"]) for variant in variants],
    )


if __name__ == "__main__":
    main()
