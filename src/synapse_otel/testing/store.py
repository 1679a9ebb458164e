"""Where the collector keeps the items it accepted, within a bound."""

from functools import cached_property
from itertools import islice
from threading import Condition, Lock
from typing import Any

from google.protobuf.message import DecodeError, Message

from synapse_otel.testing.answers import Refused
from synapse_otel.testing.decoded import Item
from synapse_otel.testing.signals import SIGNALS, Signal, Wire

MAX_BYTES = 512 * 2**20
"""Bytes of the requests whose items are kept."""


class Batch:
    """The items of one request, decoded when somebody looks at them: senders do not wait for that."""

    def __init__(self, wire: Wire, body: bytes) -> None:
        self.wire = wire
        self.size = len(body)
        self._message = _parsed(wire.request, body)
        self.count = wire.count(self._message)

    @cached_property
    def items(self) -> list[Item]:
        """The decoded items, in the order of the request."""
        return list(self.wire.decode(self._message))


class Store:
    """The accepted items; safe to use from any thread.

    Lock order: `_decoding` before `_changed`. Decoding happens outside of `_changed`, so that it holds up no sender.

    Args:
        max_items: How many items are kept, of at most 512 MiB of requests; those beyond are counted only.
        changed: Guards the state, and is notified of every change of it.
    """

    def __init__(self, max_items: int, changed: Condition) -> None:
        self._changed = changed
        self._decoding = Lock()
        self._max_items = max_items
        self._empty()

    def _empty(self) -> None:
        self.overflow = 0
        self._kept = self._bytes = 0
        self._accepted = dict.fromkeys(SIGNALS, 0)
        self._decoded: dict[Signal, list[Any]] = {signal: [] for signal in SIGNALS}
        self._pending: dict[Signal, list[tuple[Batch | list[Item], int]]] = {signal: [] for signal in SIGNALS}

    def clear(self) -> None:
        """Forget everything."""
        with self._decoding, self._changed:
            self._empty()
            self._changed.notify_all()

    def accept(self, signal: Signal, items: Batch | list[Item]) -> None:
        """Keep items, as many as there is room for."""
        count, size = (items.count, items.size) if isinstance(items, Batch) else (len(items), 0)
        with self._changed:
            room = min(count, self._max_items - self._kept) if self._bytes + size <= MAX_BYTES else 0
            self._accepted[signal] += count
            self._kept += room
            self._bytes += size if room else 0
            self.overflow += count - room
            if room:
                self._pending[signal].append((items, room))
            self._changed.notify_all()

    def items(self, signal: Signal) -> list[Any]:
        """All items kept of a signal, in order of arrival."""
        with self._decoding:
            with self._changed:
                pending, self._pending[signal] = self._pending[signal], []
                decoded = self._decoded[signal]
            for items, room in pending:
                decoded.extend(islice(items.items if isinstance(items, Batch) else items, room))
            return list(decoded)

    def accepted(self) -> dict[Signal, int]:
        """How many items were accepted of each signal, those beyond the bound included."""
        with self._changed:
            return dict(self._accepted)


def _parsed(message: type[Message], body: bytes) -> Message:
    try:
        return message.FromString(body)
    except DecodeError as error:
        raise Refused(400, f"the body is no {message.DESCRIPTOR.name}: {error}") from error
