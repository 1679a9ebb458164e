"""What reporting costs a real loop: scikit-learn on its digits, progress and metrics on every batch.

Blocks of batches without reports, with ours and by hand take turns, in another order each time. The cost of a variant
is what its blocks take longer than the bare ones of the same round, so it holds what the exporting threads take from
the loop, too; 'in the calls' is the time inside the two calls alone, with the caches as the training leaves them.
"""

from __future__ import annotations

import random
import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any

from bench import Variant, directory, ours, parser, table, verdict
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


def bare(training: Training, target: Any, batches: int) -> tuple[float, float]:
    """A block without reports: microseconds per batch, and none in calls."""
    began = time.perf_counter_ns()
    for _ in range(batches):
        training.step()
    return (time.perf_counter_ns() - began) / 1000 / batches, 0.0


def reporting(training: Training, target: Any, batches: int) -> tuple[float, float]:
    """A block with reports: microseconds per batch, and those inside the calls."""
    clock = time.perf_counter_ns
    inside = 0
    start = clock()
    for number in range(1, batches + 1):
        loss = training.step()
        began = clock()
        target.set_progress(number, batches, "train")
        target.set_metrics({"loss": loss, "accuracy": 1 - loss, "lr": 0.001}, "train")
        inside += clock() - began
    return (clock() - start) / 1000 / batches, inside / 1000 / batches


def run(variants: Sequence[Variant], training: Training, rounds: int, batches: int) -> dict[str, list[Any]]:
    """All blocks: for each variant what each block took."""
    blocks: dict[str, list[Any]] = defaultdict(list)
    for _ in range(rounds):
        for variant in random.sample(variants, len(variants)):
            loop: Callable[..., Any] = bare if variant.target is None else reporting
            blocks[variant.name].append(variant.context.run(loop, training, variant.target, batches))
            variant.drain()
    return blocks


def row(name: str, blocks: list[Any], base: list[Any]) -> list[object]:
    """A variant's row: the median difference to the bare block of its round, with its standard error."""
    differences = [block[0] - other[0] for block, other in zip(blocks, base, strict=True)]
    added = statistics.median(differences)
    error = 1.25 * statistics.stdev(differences) / len(differences) ** 0.5
    per_batch = statistics.median(block[0] for block in blocks)
    if blocks is base:
        return [name, per_batch, None, None, None, None, None, None]
    inside = statistics.median(block[1] for block in blocks)
    budget = BUDGET if name.startswith("ours") else None
    met = verdict(added, BUDGET) if budget else None
    return [name, per_batch, added, error, 100 * added / (per_batch - added), inside, budget, met]


def main() -> None:
    """Parse the command line and measure."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=24, help="blocks of each variant")
    options.add_argument("--batches", type=int, default=400, help="batches in a block")
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
        ["loop", "per batch", "added", "+-", "added %", "in the calls", "budget", "added"],
        [row(variant.name, blocks[variant.name], blocks["bare"]) for variant in variants],
    )


if __name__ == "__main__":
    main()
