"""What became of a run's records, in few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from synapse_otel.journal.cursor import Cursor, saved_cursors
from synapse_otel.journal.directory import JournalPath


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """How far the delivery of some records has come.

    Attributes:
        begun: Whether anybody has tried to send them; otherwise they are kept.
        pending: Records still to be sent.
        dead_letters: Records that the collector refused for good.
        dropped: Records that the quota removed, or damage took, before they were sent.
    """

    begun: bool = False
    pending: int = 0
    dead_letters: int = 0
    dropped: int = 0

    def __str__(self) -> str:
        lost = {"dead letters": self.dead_letters, "dropped": self.dropped}
        if not self.begun:
            parts = ["kept"]
        elif self.pending:
            parts = [f"pending {self.pending:,}"]
        else:
            parts = [] if any(lost.values()) else ["delivered"]
        return ", ".join([*parts, *(f"{what} {amount:,}" for what, amount in lost.items() if amount)])

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to be sent."""
        return self.begun and not self.pending


def cursors(path: JournalPath) -> list[Cursor]:
    """Return the cursors that count: those of the signals that the endpoint serves, if it serves any."""
    saved = saved_cursors(path)
    return [cursor for cursor in saved if not cursor.unserved] or saved


def state(saved: list[Cursor], end: int) -> DeliveryState:
    """Return the state of a journal that ends before the sequence number `end`."""
    if not saved:
        return DeliveryState(pending=end)
    slowest = min(saved, key=lambda cursor: cursor.position.seq)
    refused = Counter[str]()
    for cursor in saved:
        refused |= Counter(cursor.dead_lettered)
    pending = max(0, end - slowest.position.seq)
    return DeliveryState(True, pending, sum(refused.values()), sum(slowest.dropped.values()))


def total(states: Iterable[DeliveryState]) -> DeliveryState:
    """Return the states of a run's journals as one."""
    known = list(states)
    return DeliveryState(
        any(one.begun for one in known),
        sum(one.pending for one in known),
        sum(one.dead_letters for one in known),
        sum(one.dropped for one in known),
    )
