"""Who a run is: its job, its place in a trace, and the resource of the process."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from synapse_otel.journal.directory import new_journal_id
from synapse_otel.journal.records import Identity
from synapse_otel.process_identity import process_attributes
from synapse_otel.span_scope import current_context
from synapse_otel.values import Limits, plain, text

JOB_VARIABLES = ("SYNAPSE_JOB_ID", "RAY_JOB_ID")
DEFAULT_SERVICE = "synapse-plugin"
_NAME_LIMITS = Limits(max_string=256)
_RESOURCE_LIMITS = Limits(max_items=1000)


def new_identity(
    job_id: object, name: object, service_version: str, version: str, parent_env: Mapping[str, str] | None = None
) -> Identity:
    """Return the identity of a run that starts now in this process.

    Args:
        job_id: The job; from ``SYNAPSE_JOB_ID`` or ``RAY_JOB_ID``, or generated, where it is None or empty.
        name: What the run is called.
        service_version: The version of the plugin.
        version: The version of this package.
        parent_env: What `propagation_env` gave in the process whose run goes on in this one. Without it the parent
            is the current span, else what ``TRACEPARENT`` says.
    """
    journal_id = new_journal_id()
    environ = os.environ if parent_env is None else parent_env
    parent = trace.INVALID_SPAN_CONTEXT
    if parent_env is None:
        parent = trace.get_current_span(current_context()).get_span_context()
    if not parent.is_valid:
        parent = _remote_parent(environ)
    trace_id = parent.trace_id.to_bytes(16, "big") if parent.is_valid else secrets.token_bytes(16)
    return Identity(
        journal_id=journal_id,
        job_id=_job_id(job_id, environ),
        name=text(name, _NAME_LIMITS) or "run",
        trace_id=trace_id,
        span_id=secrets.token_bytes(8),
        parent_span_id=parent.span_id.to_bytes(8, "big") if parent.is_valid else b"",
        started=time.time_ns(),
        resource=_resource(journal_id, service_version, version),
        worker=parent_env is not None,
    )


def _remote_parent(environ: Mapping[str, str]) -> trace.SpanContext:
    carrier = {key.lower(): environ[key] for key in ("TRACEPARENT", "TRACESTATE") if key in environ}
    extracted = TraceContextTextMapPropagator().extract(carrier, Context())
    return trace.get_current_span(extracted).get_span_context()


def _job_id(job_id: object, environ: Mapping[str, str]) -> str:
    for candidate in (job_id, *(environ.get(variable) for variable in JOB_VARIABLES)):
        if candidate is not None and (found := text(candidate, _NAME_LIMITS)):
            return found
    return f"local-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _resource(journal_id: str, service_version: str, version: str) -> dict[str, str | int | float | bool]:
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # 25 ms, only for a run

    own = {
        "service.name": DEFAULT_SERVICE,
        "service.namespace": "synapse",
        "service.version": service_version,
        "service.instance.id": journal_id,
        "process.pid": os.getpid(),
        "host.name": socket.gethostname(),
        "telemetry.distro.name": "synapse-otel",
        "telemetry.distro.version": version,
    }
    sdk = {key: value for key, value in Resource.create().attributes.items() if key.startswith("telemetry.sdk.")}
    merged = {**own, **process_attributes(), **sdk, **OTELResourceDetector().detect().attributes}
    kept = {key: value for key, value in merged.items() if isinstance(value, str | int | float | bool)}
    encodable = plain(kept, _RESOURCE_LIMITS)  # the environment holds bytes, which need not be UTF-8
    return encodable if isinstance(encodable, dict) else own  # type: ignore[return-value]  # it was flat
