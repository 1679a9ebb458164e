"""Which agent ships a journal, noted beside it: while that one lives, the others leave the journal alone.

Two configurations may share a journal directory. What waits for the collector of one is not for that of the other.
"""

from __future__ import annotations

import os
import re

from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.locks import open_private, open_to_read

_FINGERPRINT = re.compile("[0-9a-f]{16}")


def write_mark(journal: JournalPath, fingerprint: str) -> None:
    """Note that the agent of `fingerprint` ships the journal; a disk that cannot take it costs the note."""
    try:
        fd = open_private(journal.agent, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    except OSError:
        return
    with os.fdopen(fd, "w") as file:
        file.write(fingerprint)


def read_mark(journal: JournalPath) -> str:
    """Return the fingerprint of the agent that ships the journal, or shipped it last; empty where there is none."""
    try:
        with os.fdopen(open_to_read(journal.agent)) as file:
            marked = file.read(64)
    except (OSError, ValueError):
        return ""
    return marked if _FINGERPRINT.fullmatch(marked) else ""
