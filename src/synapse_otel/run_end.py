"""Closes runs that nobody closed, when their process ends."""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from synapse_otel import left_behind
from synapse_otel.models import RunStatus

if TYPE_CHECKING:
    from synapse_otel.journal.directory import JournalPath
    from synapse_otel.otel_logger import OTelLogger
    from synapse_otel.shipping import Farewell

_unfinished: weakref.WeakSet[OTelLogger] = weakref.WeakSet()
_recorded: dict[Path, tuple[Farewell, set[str]]] = {}
_MOST_RECORDED = 64
_FAREWELL = 2.0
"""Seconds that the end of the interpreter gives to what the workers of its runs left."""


def close_at_end(logger: OTelLogger) -> None:
    """Finish `logger` when the interpreter ends, unless that was done before."""
    _unfinished.add(logger)


def _nothing() -> None:
    pass


def closed(logger: OTelLogger) -> None:
    """Forget `logger`: it is finished."""
    _unfinished.discard(logger)


def see_off_at_end(path: JournalPath, farewell: Farewell) -> None:
    """When the interpreter ends, see to what the workers of the run left that `path` belongs to."""
    _, own = _recorded.pop(path.run, (farewell, set()))
    _recorded[path.run] = farewell, own | {path.journal_id}
    if len(_recorded) > _MOST_RECORDED:  # a process of many runs has long seen off the first of them while it went
        del _recorded[next(iter(_recorded))]


def close_at_end_of_child(logger: OTelLogger) -> None:
    """Finish `logger` when a forked `multiprocessing` child ends, which it does without the exit handlers."""
    if "multiprocessing.util" in sys.modules:
        from multiprocessing.util import Finalize

        left = weakref.WeakMethod(logger.finish)
        Finalize(logger, lambda: (left() or _nothing)(), exitpriority=0)


# A forked child did not open its parent's runs; one that goes on with a run says so anew.
os.register_at_fork(after_in_child=_unfinished.clear)
os.register_at_fork(after_in_child=_recorded.clear)


def _status(error: BaseException | None) -> RunStatus:
    if isinstance(error, KeyboardInterrupt):
        return RunStatus.CANCELLED
    return RunStatus.COMPLETED if error is None else RunStatus.FAILED


@atexit.register
def _close_all() -> None:
    left_behind.note_end()
    # Set by the interpreter when it printed the exception that ends the program; `last_exc` since Python 3.12.
    # In an interactive session it is any mistake that was made on the way.
    interactive = hasattr(sys, "ps1") or sys.flags.interactive
    error = None if interactive else getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    status = _status(error)
    began = time.monotonic()
    for logger in list(_unfinished):  # together they wait no longer than one of them would
        logger.patience = max(0.0, logger.patience - (time.monotonic() - began))
        logger.finish(status, error)
    deadline = time.monotonic() + _FAREWELL
    for run, (farewell, own) in _recorded.items():
        if run.exists():  # where no worker left anything, it went with the delivery
            farewell(run, own, deadline)
