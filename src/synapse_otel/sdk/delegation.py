"""Tells a call of a plugin from what loggers make of it among themselves, so that each is reported once.

A logger may hand a call on: to its base class, to another method of its own, to loggers that it wraps. All of that is
the plugin's one call. But a logger that, asked to do one thing, also does another says something new.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

LOG = "log"


@dataclass(slots=True)
class Call:
    """A call of a logger that is under way.

    Attributes:
        kind: What is called: `LOG`, or the method's name where calls of one name are one kind.
        event: Of a `LOG`, the event.
        data: Of a `LOG`, its data.
        reported: Whether it is recorded, here or by the call that it is a part of.
        handed_to: The loggers that it was handed on to, by their ids.
    """

    kind: str
    event: object = None
    data: object = None
    reported: bool = False
    handed_to: set[int] = field(default_factory=set)

    def continues(self, call: Call, logger: object) -> bool:
        """Return whether `call`, which this one makes on `logger`, is this one handed on; noted for the next time."""
        if call.kind != self.kind or id(logger) in self.handed_to or not self._is_alike(call):
            return False
        self.handed_to.add(id(logger))
        return True

    def _is_alike(self, call: Call) -> bool:
        if self.event == call.event:
            return True
        return isinstance(call.data, Mapping) and _equal(self.data, call.data)  # wrapped, under another name


class CallsUnderWay(threading.local):
    """The calls of loggers that this thread is in, the innermost last."""

    def __init__(self) -> None:
        self.stack: list[Call] = []


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001  # a foreign __eq__ may raise anything
        return False
