"""What messages and events carry beside their text, on log records and on span events alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from synapse_otel.journal import records as rec
from synapse_otel.projection import names


def details(record: rec.Message | rec.Event, redact: Callable[[str], str]) -> dict[str, Any]:
    """Return the level, the step that the call named, and a message's key or an event's file, as attributes."""
    own = {names.LEVEL: record.level}
    if record.step is not None:
        own[names.STEP] = redact(record.step)
    if isinstance(record, rec.Event):
        if record.file is not None:
            own[names.FILE_PATH] = redact(record.file)
    elif record.key is not None:
        own[names.MESSAGE_KEY] = redact(record.key)
    return own
