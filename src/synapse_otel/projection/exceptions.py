"""Exceptions as attributes, the same on spans and on log records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from synapse_otel.journal.records import ExceptionRecorded
from synapse_otel.projection import names


def exception_attributes(record: ExceptionRecorded, redact: Callable[[str], str]) -> dict[str, Any]:
    """Return the type, the message and the stack trace of an exception, without credentials."""
    return {
        names.EXCEPTION_TYPE: redact(record.error_type),
        names.EXCEPTION_MESSAGE: redact(record.message),
        names.EXCEPTION_STACKTRACE: redact(record.stacktrace),
    }
