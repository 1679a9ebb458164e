"""Tells a call of a plugin from what loggers make of it among themselves, so that each is reported once.

A logger may hand a call on: to its base class, to another method of its own, to loggers that it wraps. All of that is
the plugin's one call. But a logger that, asked to do one thing, also does another says something new.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

_EVENTS = {
    "log_message": "message",
    "log_visualization": "visualization",
    "log_trials": "trials",
    "debug": "debug",
    "info": "message",
    "warning": "message",
    "error": "message",
    "critical": "message",
}
"""The events that the methods of loggers make, which `log` and `log_event` are told."""

_MESSAGES = frozenset({"log_message", "debug", "info", "warning", "error", "critical"})


class What(NamedTuple):
    """What a call says.

    Attributes:
        kind: `progress`, `progress_failed`, `metrics` or `log`.
        name: The category, or the event; None where it is not said.
        content: The text of a message, the data of an event, the samples; None where it cannot be compared.
    """

    kind: str
    name: object
    content: object


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
        outer, inner = self._what(), call._what()
        if outer.kind != inner.kind:
            return False
        if outer.kind != "log":
            return outer.name is None or inner.name is None or _equal(outer.name, inner.name)
        if outer.content is None or inner.content is None:
            return _equal(outer.name, inner.name)
        return _says(outer.content, inner.content) and (_equal(outer.name, inner.name) or bool(outer.content))

    def _what(self) -> What:
        method, argument = self.method, self._argument
        if method == "set_progress":
            return What("progress", argument(2, "step"), None)
        if method == "set_progress_failed":
            return What("progress_failed", argument(0, "step"), None)
        if method == "set_metrics":
            return What("metrics", argument(1, "step"), None)
        if method == "log_metric":
            return What("metrics", argument(0, "category"), None)
        if method in {"log", "log_event"}:
            first = 1 if method == "log" else 0
            return _of_log(argument(first, "event"), argument(first + 1, "data"))
        return What("log", _EVENTS[method], argument(0, "message") if method in _MESSAGES else None)

    def _argument(self, at: int, name: str) -> Any:
        return self.args[at] if len(self.args) > at else self.kwargs.get(name)


def _of_log(event: object, data: object) -> What:
    if isinstance(data, Mapping):
        if isinstance(event, str) and event == "metric" and "category" in data:
            return What("metrics", data["category"], None)
        if "content" in data:
            return What("log", event, data["content"])
    return What("log", event, data)


def _says(outer: object, inner: object) -> bool:
    """Return whether what is handed on still says what was said: with more around it, or besides."""
    if isinstance(outer, str) and isinstance(inner, str):
        return outer in inner
    if isinstance(outer, Mapping) and isinstance(inner, Mapping):
        return all(key in inner and _equal(value, inner[key]) for key, value in outer.items())
    return _equal(outer, inner)


class CallsUnderWay(threading.local):
    """The calls of loggers that this thread is in, the innermost last."""

    def __init__(self) -> None:
        self.stack: list[Call] = []


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001  # a foreign __eq__ may raise anything
        return False
