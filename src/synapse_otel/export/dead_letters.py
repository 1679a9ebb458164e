"""What the collector refused for good: one JSON object a line, with the request as it was sent."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from synapse_otel.export.settings import Signal
from synapse_otel.journal.locks import open_private

MOST = 32 * 1024 * 1024
"""Bytes of dead letters that a journal keeps; further ones are only counted."""


def bury(file: Path | None, signal: Signal, seq: int, kind: str, reason: str, body: bytes) -> None:
    """Append a refused request; a disk that cannot take it costs the request, which is counted all the same.

    Args:
        file: Where to, None for a journal that has no disk.
        signal: The signal that the request carries.
        seq: The sequence number of the record that the request comes from.
        kind: That record's kind.
        reason: What the collector said.
        body: The encoded request.
    """
    if file is None:
        return
    if _size(file) + len(body) > MOST:
        return
    letter = {"signal": signal, "seq": seq, "kind": kind, "reason": reason, "request": base64.b64encode(body).decode()}
    try:
        with os.fdopen(open_private(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "a") as target:
            target.write(json.dumps(letter) + "\n")
    except OSError:
        return


def _size(file: Path) -> int:
    try:
        return file.lstat().st_size
    except OSError:
        return 0
