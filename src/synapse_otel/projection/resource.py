"""What every span, log record and data point of a process has in common."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags

from synapse_otel.journal.records import ActionNamed, Identity
from synapse_otel.projection import names
from synapse_otel.projection.attributes import DEFAULT_LIMITS, AttributeLimits, nested
from synapse_otel.projection.redaction import Redactor

TRACE_ID, SPAN_ID = 16, 8
SAMPLED = TraceFlags(TraceFlags.SAMPLED)


@dataclass(frozen=True)
class Origin:
    """Who a journal's records come from, and how they are shown.

    Attributes:
        identity: The writer of the journal.
        version: Of this package, for the instrumentation scope.
        redactor: Takes credentials out of strings.
        limits: OpenTelemetry's attribute limits.
    """

    identity: Identity
    version: str
    redactor: Redactor = field(default_factory=Redactor)
    limits: AttributeLimits = DEFAULT_LIMITS

    @cached_property
    def resource(self) -> Resource:
        """The resource: the attributes that the process noted when it began, and ``job_id``."""
        noted = dict(nested(self.redactor.value(self.identity.resource)))
        return Resource({**noted, names.JOB_ID: self.job_id})

    @cached_property
    def job_id(self) -> str:
        """The job, as it is shown."""
        return self.redactor.text(self.identity.job_id)

    @cached_property
    def scope(self) -> InstrumentationScope:
        """The instrumentation scope: this package."""
        return InstrumentationScope(names.SCOPE, self.version)

    def is_named_by(self, record: ActionNamed) -> bool:
        """Return whether the run is called like the action: it is said to be, or it has no name of its own."""
        return record.names_run or self.identity.name == names.DEFAULT_RUN

    @cached_property
    def trace_id(self) -> int:
        """The trace id as a number."""
        return _number(self.identity.trace_id)

    def span_context(self, span: bytes, *, remote: bool = False) -> SpanContext:
        """Return the context of the span `span` in the trace of the run."""
        return SpanContext(self.trace_id, _number(span), remote, SAMPLED)

    def ids(self, span: bytes, active: bytes) -> tuple[bytes, bytes]:
        """Return the trace and the span of a record: those in `active` where it is given, else `span`, else the run."""
        if len(active) == TRACE_ID + SPAN_ID and any(active[:TRACE_ID]) and any(active[TRACE_ID:]):
            return active[:TRACE_ID], active[TRACE_ID:]
        return self.identity.trace_id, span or self.identity.span_id


def derived_id(origin: bytes, *parts: str | int) -> bytes:
    """Return the id of a span that follows from another one: the same for the same origin and parts."""
    text = "\x1f".join(str(part) for part in parts)
    digest = hashlib.blake2b(origin + text.encode(), digest_size=SPAN_ID).digest()
    return digest if any(digest) else b"\x01" * SPAN_ID


def is_span_id(span: bytes) -> bool:
    """Return whether `span` can be the id of a span: eight bytes, not all zero."""
    return len(span) == SPAN_ID and any(span)


def _number(identifier: bytes) -> int:
    return int.from_bytes(identifier, "big")
