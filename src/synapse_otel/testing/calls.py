"""A request as a fault sees it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from synapse_otel.testing.answers import Answer
from synapse_otel.testing.decoded import Item
from synapse_otel.testing.signals import Signal
from synapse_otel.testing.store import Batch, Store


@dataclass(frozen=True, slots=True)
class Call:
    """A request that would be accepted were it not for the fault.

    Attributes:
        wait: Waits for so many seconds (`None`: for ever); true unless the collector stopped meanwhile.
    """

    batch: Batch
    store: Store
    wait: Callable[[float | None], bool]

    @property
    def signal(self) -> Signal:
        """What it carries."""
        return self.batch.wire.signal

    @property
    def items(self) -> list[Item]:
        """The decoded spans, log records or data points, in the order of the request."""
        return self.batch.items

    def accept(self) -> Answer:
        """Store all of it."""
        self.store.accept(self.signal, self.batch)
        return Answer(body=self.batch.wire.answer(0, ""))

    def accept_part(self, rejected: Iterable[int], message: str) -> Answer:
        """Store all of it but for some items, and say so in the answer.

        Args:
            rejected: The positions in `items` that are not stored.
            message: What the answer says about them.
        """
        positions = frozenset(rejected)
        self.store.accept(self.signal, [item for at, item in enumerate(self.items) if at not in positions])
        return Answer(body=self.batch.wire.answer(len(positions), message))
