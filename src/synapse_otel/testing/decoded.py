"""What the collector hands out: spans, log records and data points as plain Python values.

Times are nanoseconds since 1970 (UTC), ids lower-case hex and empty where there is none. Attribute values are what OTLP
can carry: `str`, `bool`, `int`, `float`, `bytes`, `list`, `dict` and `None`.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Attributes: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """An event of a span."""

    name: str
    time_ns: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class SpanLink:
    """A link from a span to another one."""

    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Span:
    """A finished span, as it was received.

    Attributes:
        parent_span_id: Empty for a root span.
        kind: `internal`, `server`, `client`, `producer`, `consumer` or `unspecified`.
        status: The status code in lower case.
        resource: The attributes of the resource that sent it; one dict shared by all items of that resource.
        scope: The name of the instrumentation scope.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    events: tuple[SpanEvent, ...]
    links: tuple[SpanLink, ...]
    status: Literal["unset", "ok", "error"]
    status_message: str
    resource: Attributes
    scope: str


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log record, as it was received.

    Attributes:
        time_ns: When it happened; 0 where the sender did not say.
        observed_ns: When the sender saw it.
        body: Any value that OTLP can carry.
        resource: The attributes of the resource that sent it; one dict shared by all items of that resource.
        scope: The name of the instrumentation scope.
    """

    time_ns: int
    observed_ns: int
    severity_number: int
    severity_text: str
    event_name: str
    body: Any
    attributes: Attributes
    trace_id: str
    span_id: str
    resource: Attributes
    scope: str


@dataclass(frozen=True, slots=True)
class Point:
    """A data point of a metric, as it was received.

    Attributes:
        metric: The name of the metric.
        unit: The unit of the metric, in UCUM notation.
        value: The number of a gauge or a sum, NaN where the point says that it has none. Of a histogram, an exponential
            histogram or a summary, the sum of what was measured: buckets and quantiles are not decoded.
        resource: The attributes of the resource that sent it; one dict shared by all items of that resource.
        scope: The name of the instrumentation scope.
        kind: What the metric is.
    """

    metric: str
    unit: str
    value: int | float
    time_ns: int
    attributes: Attributes
    resource: Attributes
    scope: str
    kind: Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"] = "gauge"


Item: TypeAlias = Span | LogRecord | Point
