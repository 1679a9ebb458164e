"""How far the delivery of a journal has come, as far as that was seen: the journal may be removed meanwhile."""

from __future__ import annotations

import dataclasses
from collections import Counter

from synapse_otel.cli.delivery_state import DeliveryState, cursors, state
from synapse_otel.export.delivery import report
from synapse_otel.journal.cursor import Cursor
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.reader import FOREVER, Batch, Position, Source
from synapse_otel.models import Counts, DeliveryReport


class SeenDelivery:
    """What the cursors of a journal said when they were there to be read.

    Args:
        path: The journal.
    """

    def __init__(self, path: JournalPath) -> None:
        self._path = path
        self._cursors: list[Cursor] = []

    def look(self) -> None:
        """Note what the cursors say now."""
        self._cursors = cursors(self._path) or self._cursors

    @property
    def has_begun(self) -> bool:
        """Whether anybody has tried to send the journal."""
        return bool(self._cursors)

    @property
    def state(self) -> DeliveryState:
        """What was lost on the way so far, of what the delivery has passed."""
        return state(self._cursors, 0)

    def report(
        self, read: Counter[str], dropped: Counter[str], journal: Source | None, *, has_ended: bool
    ) -> DeliveryReport:
        """Return what became of the records.

        Args:
            read: How many of them were read, by kind, what stands for those that were dropped among them.
            dropped: How many of those were.
            journal: The journal; None where it cannot be read any more.
            has_ended: Whether the end of the process was read. Who delivers a journal removes it behind its end; one
                that goes earlier, or without a cursor, may have been removed by anybody: of its records, those that
                the cursors have not passed are neither delivered nor pending.
        """
        is_there = self._path.path.exists()
        if is_there and journal and self._cursors:
            return report(journal, self._cursors)
        known = report(_Nothing(), self._cursors, None if self._cursors else dropped).by_kind
        rest = "pending" if is_there else "delivered" if has_ended and self._cursors else None
        kinds = sorted({*known, *(kind for kind, count in read.items() if count)})
        return DeliveryReport({kind: _with_rest(known.get(kind, Counts()), read[kind], rest) for kind in kinds})


class _Nothing:
    """A journal with no records behind any position."""

    def read(self, position: Position, max_records: int, max_bytes: int, until: int = FOREVER) -> Batch:  # noqa: ARG002  # the shape of every such method
        return Batch(after=position)


def _with_rest(known: Counts, read: int, state: str | None) -> Counts:
    rest = max(0, read - known.accepted)
    in_state = {state: getattr(known, state) + rest} if state else {}
    return dataclasses.replace(known, accepted=known.accepted + rest, **in_state)
