"""Exceptions as text, without what is ours: a plugin's author looks for the lines of the plugin."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from synapse_otel.values import short_name

_OURS = (str(Path(__file__).parent) + os.sep, "<synapse_otel")  # the wrappers of what is instrumented have no file


def stacktrace(error: BaseException) -> str:
    """Return the traceback of an exception and of what led to it; never raises."""
    try:
        return "".join(_without_ours(traceback.TracebackException.from_exception(error)).format())
    except Exception as failure:  # noqa: BLE001  # a foreign __str__ may raise anything
        shown = short_name(type(error))  # the metaclass of an exception may be foreign as well
        return f"{shown} (its traceback cannot be printed: {short_name(type(failure))})"


def _without_ours(shown: traceback.TracebackException) -> traceback.TracebackException:
    pending, seen = [shown], set()
    while pending:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        theirs = [frame for frame in one.stack if not frame.filename.startswith(_OURS)]
        if theirs:  # an error of ours alone is shown whole
            one.stack = traceback.StackSummary.from_list(theirs)
        pending += [led for led in (one.__cause__, one.__context__, *(one.exceptions or ())) if led is not None]
    return shown
