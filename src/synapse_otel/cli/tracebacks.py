"""The traceback of an action that failed, from the person's own code on."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

import synapse_otel
from synapse_otel.cli.terminal import Terminal

_OURS = str(Path(synapse_otel.__file__).parent)
_IMPORT_MACHINERY = ("<frozen importlib", "/importlib/__init__.py")


def trim(error: BaseException) -> None:
    """Take our frames off the beginning of a traceback; those that follow the person's code stay."""
    frame: TracebackType | None = error.__traceback__
    while frame is not None and _is_ours(frame.tb_frame.f_code.co_filename):
        frame = frame.tb_next
    if frame is not None:
        error.__traceback__ = frame


def show(terminal: Terminal, error: BaseException) -> None:
    """Print the traceback on standard error, redacted."""
    lines = "".join(traceback.format_exception(error)).rstrip().split("\n")
    last = max(at for at, line in enumerate(lines) if at == 0 or not line.startswith(" "))
    head, tail = "\n".join(lines[:last]), "\n".join(lines[last:])
    if head:
        terminal.note(head)
    terminal.note(tail, "bold red")


def _is_ours(file: str) -> bool:
    return file.startswith(_OURS) or any(part in file for part in _IMPORT_MACHINERY)
