"""What a journal holds: small typed facts, each with its own time.

A record is a MessagePack array whose first element is the kind's tag. Fields are only ever appended, with a
default, so that a newer reader understands older records. Times are nanoseconds since the Unix epoch. ``span`` is
the 8-byte id of the step that the record belongs to (empty: the run itself). ``active`` is the 16-byte trace id and
the 8-byte span id of a span that somebody else opened inside the run, where one was current (empty: none was).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, TypeAlias

import msgspec

_DEV_EVENT = 9


Nanoseconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A time that OTLP can carry; a record with another one is damaged."""


class Record(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A fact about a run, with the time at which it became one."""

    kind: ClassVar[str] = "record"

    t: Nanoseconds


class SegmentOpened(Record, frozen=True, tag=0):
    """The first frame of a segment: the sequence number of the record that follows it."""

    kind = "segment"

    first_seq: int


class RunStarted(Record, frozen=True, tag=1):
    """The process began to record."""

    kind = "run"


class RunEnded(Record, frozen=True, tag=2):
    """The run ended: ``completed``, ``failed``, ``cancelled`` or ``crashed``; `delivery` as in `Heartbeat`."""

    kind = "run"

    status: str
    message: str = ""
    delivery: dict[str, int] | None = None


class StepStarted(Record, frozen=True, tag=3):
    """A step was opened inside ``parent`` (empty: inside the run)."""

    kind = "step"

    span: bytes
    parent: bytes
    name: str


class StepEnded(Record, frozen=True, tag=4):
    """A step ended: ``completed``, ``failed``, ``cancelled`` or ``skipped``."""

    kind = "step"

    span: bytes
    status: str
    message: str = ""


class Progress(Record, frozen=True, tag=5):
    """How far a category has come."""

    kind = "progress"

    span: bytes
    active: bytes
    category: str
    current: int | float
    total: int | float
    failed: bool = False


class Metrics(Record, frozen=True, tag=6):
    """One sample of several metrics of a category."""

    kind = "metrics"

    span: bytes
    active: bytes
    category: str
    values: dict[str, Any]


class Event(Record, frozen=True, tag=7):
    """A structured event."""

    kind = "event"

    span: bytes
    active: bytes
    name: str
    level: str
    data: dict[str, Any]
    file: str | None = None
    step: str | None = None


class Message(Record, frozen=True, tag=8):
    """A message for the person who runs the plugin."""

    kind = "message"

    span: bytes
    active: bytes
    text: str
    level: str
    step: str | None = None
    key: str | None = None


class DevEvent(Record, frozen=True, tag=_DEV_EVENT):
    """A debug event for the person who writes the plugin."""

    kind = "dev_event"

    span: bytes
    active: bytes
    text: str
    data: dict[str, Any] | None = None


class ExceptionRecorded(Record, frozen=True, tag=10):
    """An exception that ended a step or the run."""

    kind = "exception"

    span: bytes
    active: bytes
    error_type: str
    message: str
    stacktrace: str


class LogEnded(Record, frozen=True, tag=11):
    """The plugin called ``end_log``."""

    kind = "end_log"

    span: bytes
    active: bytes


class Heartbeat(Record, frozen=True, tag=12):
    """The process was alive at this time, and `delivery` stood so.

    How many records were ``accepted``, ``delivered``, ``pending``, ``dropped`` and ``dead_lettered``; the ``size`` of
    the journal in bytes; the time of the ``oldest`` record that was pending, in nanoseconds, 0 where none was.
    """

    kind = "heartbeat"

    delivery: dict[str, int] | None = None


class Dropped(Record, frozen=True, tag=13):
    """Stands where records stood that the quota removed: how many of each kind, which sequence numbers skip."""

    kind = "dropped"

    counts: dict[str, int]


class ActionNamed(Record, frozen=True, tag=14):
    """The run executes the action of this name, and may be named after it."""

    kind = "run"

    name: str
    category: str = ""
    names_run: bool = False


class Rested(Record, frozen=True, tag=15):
    """The process has done all that it was given: if it dies now, its run has ended so, at this time."""

    kind = "run"

    status: str = "completed"
    message: str = ""


AnyRecord: TypeAlias = (
    SegmentOpened
    | RunStarted
    | RunEnded
    | StepStarted
    | StepEnded
    | Progress
    | Metrics
    | Event
    | Message
    | DevEvent
    | ExceptionRecorded
    | LogEnded
    | Heartbeat
    | Dropped
    | ActionNamed
    | Rested
)

encode: Callable[[Record], bytes] = msgspec.msgpack.Encoder().encode
decode: Callable[[bytes], AnyRecord] = msgspec.msgpack.Decoder(AnyRecord).decode


def decoded(payload: bytes) -> AnyRecord | None:
    """Return the record in `payload`, None where there is none that we know: a file may hold anything."""
    try:
        return decode(payload)
    except (ValueError, RecursionError, MemoryError):  # invalid UTF-8, and nesting without end, among them
        return None


def is_dev_event(payload: bytes) -> bool:
    """Return whether `payload`, which `encode` made, is a `DevEvent`, without decoding it."""
    return payload[1] == _DEV_EVENT


_TraceId = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_SpanId = Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]
_NoSpanId = Annotated[bytes, msgspec.Meta(max_length=8)]


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes a journal; repeated in the header of every segment, so that any segment can be read alone.

    Attributes:
        journal_id: 32 hexadecimal digits, unique to the process; also ``service.instance.id``.
        job_id: The job that the run belongs to.
        name: The run's or action's name, which names the root span.
        trace_id: 16 bytes.
        span_id: 8 bytes, the span of this process in the trace.
        parent_span_id: 8 bytes, or empty where the run is the root of its trace.
        started: Nanoseconds since the Unix epoch.
        worker: Whether this process continues the run of another one.
        resource: The resource attributes of everything that the process reports.
    """

    journal_id: str
    job_id: str
    name: str
    trace_id: _TraceId
    span_id: _SpanId
    parent_span_id: _NoSpanId
    started: int
    resource: dict[str, str | int | float | bool]
    worker: bool = False
