"""What every span, log record and data point of a process has in common."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from synapse_otel.journal.records import Identity
from synapse_otel.projection import names
from synapse_otel.projection.attributes import DEFAULT_LIMITS, AttributeLimits
from synapse_otel.projection.redaction import Redactor

SPAN_ID = 8
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


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
        return Resource({**self.identity.resource, names.JOB_ID: self.identity.job_id})

    @cached_property
    def scope(self) -> InstrumentationScope:
        """The instrumentation scope: this package."""
        return InstrumentationScope(names.SCOPE, self.version)

    @cached_property
    def trace_id(self) -> int:
        """The trace id as a number."""
        return int.from_bytes(self.identity.trace_id, "big")

    def span_context(self, span: bytes, *, remote: bool = False) -> SpanContext:
        """Return the context of the span `span` in the trace of the run."""
        return SpanContext(self.trace_id, int.from_bytes(span, "big"), remote, _SAMPLED)

    def context(self, span: bytes, active: bytes) -> Context:
        """Return the context that a record belongs to: `active` where it is given, else `span`, else the run."""
        if active:
            trace_id, span = int.from_bytes(active[:-SPAN_ID], "big"), active[-SPAN_ID:]
            context = SpanContext(trace_id, int.from_bytes(span, "big"), is_remote=False, trace_flags=_SAMPLED)
        else:
            context = self.span_context(span or self.identity.span_id)
        return set_span_in_context(NonRecordingSpan(context), Context())


def derived_id(origin: bytes, *parts: str | int) -> bytes:
    """Return the id of a span that follows from another one: the same for the same origin and parts."""
    text = "\x1f".join(str(part) for part in parts)
    digest = hashlib.blake2b(origin + text.encode(), digest_size=SPAN_ID).digest()
    return digest if any(digest) else b"\x01" * SPAN_ID
