"""The test kit: a real OTLP receiver with faults on demand, and the pytest fixtures that use it.

>>> with Collector() as collector:  # doctest: +SKIP
...     run_something(env=collector.env())
...     collector.wait_for(lambda c: c.span("train"))
"""

# pytest imports this package in every run, for the plugin in it, so nothing heavy is imported before it is used.
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synapse_otel.testing.answers import Answer
    from synapse_otel.testing.calls import Call
    from synapse_otel.testing.collector import Collector
    from synapse_otel.testing.decoded import Item, LogRecord, Point, Span, SpanEvent, SpanLink
    from synapse_otel.testing.faults import (
        BlackHole,
        DropConnection,
        Fault,
        Garbage,
        PartialSuccess,
        Redirect,
        Refuse,
        Slow,
        Status,
    )
    from synapse_otel.testing.request_log import Request
    from synapse_otel.testing.telemetry import Telemetry
    from synapse_otel.testing.tls import ServerTLS

_HOME = {
    "answers": ["Answer"],
    "calls": ["Call"],
    "collector": ["Collector"],
    "decoded": ["Item", "LogRecord", "Point", "Span", "SpanEvent", "SpanLink"],
    "faults": [
        "BlackHole",
        "DropConnection",
        "Fault",
        "Garbage",
        "PartialSuccess",
        "Redirect",
        "Refuse",
        "Slow",
        "Status",
    ],
    "request_log": ["Request"],
    "telemetry": ["Telemetry"],
    "tls": ["ServerTLS"],
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Answer",
    "BlackHole",
    "Call",
    "Collector",
    "DropConnection",
    "Fault",
    "Garbage",
    "Item",
    "LogRecord",
    "PartialSuccess",
    "Point",
    "Redirect",
    "Refuse",
    "Request",
    "ServerTLS",
    "Slow",
    "Span",
    "SpanEvent",
    "SpanLink",
    "Status",
    "Telemetry",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
