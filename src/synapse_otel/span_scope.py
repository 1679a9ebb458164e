"""Which span a record belongs to: the run, one of its steps, and what somebody else opened inside."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opentelemetry.context import Context, attach, get_current, set_value
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    format_span_id,
    get_current_span,
    set_span_in_context,
)

from synapse_otel.logger import StepHandle

if TYPE_CHECKING:
    from synapse_otel.journal.records import Identity
    from synapse_otel.logger import BaseLogger

_STEP_KEY = "synapse-otel-step"
_UNKNOWN: tuple[Context | None, tuple[bytes, bytes]] = (None, (b"", b""))


class SpanStep(StepHandle):
    """A step that is a span, current in its context while it runs."""

    def __init__(self, logger: BaseLogger, name: str) -> None:
        super().__init__(logger, name)
        self.span = os.urandom(8)
        self.context: Context | None = None
        self.before: Context | None = None


class SpanScope:
    """The run's span and its steps' in OpenTelemetry's context, so that what others open inside becomes their child.

    What was current before is put back by attaching it again, not with the token: a run may end in another task or
    thread than it began in, where a token is refused.

    Args:
        identity: The run in this process.
        open_steps: The logger's open steps, the innermost last.
    """

    def __init__(self, identity: Identity, open_steps: list[StepHandle]) -> None:
        self._identity = identity
        self._open_steps = open_steps
        self._known = _UNKNOWN
        self.before, self.closed = current_context(), False
        attach(self._context_of(b""))

    def where(self) -> tuple[bytes, bytes]:
        """Return the span of the current step (empty: the run), and that of somebody else inside it (empty: none).

        The answer is kept for the context that it was found in, since a loop asks a million times in the same one.
        """
        context = get_current()
        known = self._known
        if known[0] is context:
            return known[1]
        own = self._own_span(context)
        current = get_current_span(context).get_span_context()
        active = b""
        if current.is_valid and current.span_id != _number(own or self._identity.span_id):
            active = current.trace_id.to_bytes(16, "big") + current.span_id.to_bytes(8, "big")
        self._known = (context, (own, active))
        return own, active

    def enter(self, step: SpanStep) -> bytes:
        """Make a step the current span of its context; return the span of the step around it (empty: the run)."""
        self._known = _UNKNOWN
        step.before = get_current()
        step.context = self._context_of(step.span)
        attach(step.context)
        around = step._parent  # the chain of steps is the loggers' own
        return around.span if isinstance(around, SpanStep) and around in self._open_steps else b""

    def leave(self, step: SpanStep) -> None:
        """Make the span around a step current again, where the step is left in the context that entered it."""
        self._known = _UNKNOWN
        if step.before is not None and get_current() is step.context:
            attach(step.before)

    def close(self) -> None:
        """Restore the context from before the run, where the run or a step that was left open is current."""
        self.closed = True
        found = get_current().get(_STEP_KEY)
        if isinstance(found, tuple) and found[0] == self._identity.span_id:
            attach(self.before)

    def traceparent(self) -> str:
        """Return the current span as a W3C ``traceparent``."""
        own = self._span_context(self._own_span(get_current()) or self._identity.span_id)
        current = get_current_span().get_span_context()
        span = current if current.trace_id == own.trace_id else own
        return f"00-{self._identity.trace_id.hex()}-{format_span_id(span.span_id)}-01"

    def _own_span(self, context: Context) -> bytes:
        found = context.get(_STEP_KEY)
        if isinstance(found, tuple) and found[0] == self._identity.span_id:
            return bytes(found[1])
        for step in reversed(self._open_steps):  # a thread that was started inside a step has an empty context
            if isinstance(step, SpanStep):
                return step.span
        return b""

    def _context_of(self, step: bytes) -> Context:
        span = NonRecordingSpan(self._span_context(step or self._identity.span_id))
        return set_value(_STEP_KEY, (self._identity.span_id, step, self), set_span_in_context(span))

    def _span_context(self, span: bytes) -> SpanContext:
        flags = TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(_number(self._identity.trace_id), _number(span), is_remote=False, trace_flags=flags)


def current_context() -> Context:
    """Return the running context, without the runs that have ended and were left in it: in another thread, or order."""
    context = get_current()
    while isinstance(found := context.get(_STEP_KEY), tuple) and found[2].closed:
        current = get_current_span(context).get_span_context().span_id
        if current != _number(found[1] or found[0]):
            break  # somebody else's span, which is still open
        context = found[2].before
    return context


def _number(span: bytes) -> int:
    return int.from_bytes(span, "big")
