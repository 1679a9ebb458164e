"""Tells a call of a plugin from what loggers make of it among themselves, so that each is reported once.

A logger may hand a call on: to its base class, to another method of its own, to loggers that it wraps. All of that is
the plugin's one call. But a logger that, asked to do one thing, also does another says something new.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import msgspec

_LOG = "log"
_EVENTS = {
    "log_message": "message",
    "log_metric": "metric",
    "log_visualization": "visualization",
    "log_trials": "trials",
    "debug": "debug",
    "info": "message",
    "warning": "message",
    "error": "message",
    "critical": "message",
}
"""The events that the methods of loggers make, which `log` and `log_event` are told."""


class Call(msgspec.Struct):  # made for every call, which takes a fifth of the time of a class's
    """A call of a logger that is under way.

    Attributes:
        method: The name of the method.
        args: What it was called with.
        kwargs: The same.
        reported: Whether it is recorded, here or by the call that it is a part of.
        handed_to: The loggers that it was handed on to, by their ids.
    """

    method: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    reported: bool = False
    handed_to: set[int] | None = None

    def continues(self, call: Call, logger: object) -> bool:
        """Return whether `call`, which this one makes on `logger`, is this one handed on; noted for the next time."""
        if self.handed_to is None:
            self.handed_to = set()
        if id(logger) in self.handed_to or not self._is_like(call):
            return False
        self.handed_to.add(id(logger))
        return True

    def _is_like(self, call: Call) -> bool:
        (kind, event, data), (other_kind, other_event, other_data) = self._what(), call._what()
        if kind != other_kind:
            return False
        renamed = not _equal(event, other_event)
        return not renamed or (isinstance(other_data, Mapping) and _equal(data, other_data))

    def _what(self) -> tuple[str, Any, Any]:
        """Return the kind of the call, and of a log its event and data."""
        if self.method == "log":
            return _LOG, self._argument(1, "event"), self._argument(2, "data")
        if self.method == "log_event":
            return _LOG, self._argument(0, "event"), self._argument(1, "data")
        event = _EVENTS.get(self.method)
        return (self.method, None, None) if event is None else (_LOG, event, None)

    def _argument(self, at: int, name: str) -> Any:
        return self.args[at] if len(self.args) > at else self.kwargs.get(name)


class CallsUnderWay(threading.local):
    """The calls of loggers that this thread is in, the innermost last."""

    def __init__(self) -> None:
        self.stack: list[Call] = []


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001  # a foreign __eq__ may raise anything
        return False
