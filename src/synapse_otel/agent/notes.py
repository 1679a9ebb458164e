"""What an agent has to say about a journal: lines in a file beside it, which the plugin's process says in its log."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from synapse_otel.export.notices import Notices
from synapse_otel.journal.directory import JournalPath, journals
from synapse_otel.journal.locks import open_private, open_to_read

_MOST = 256 * 1024


def _file(journal: JournalPath) -> Path:
    return journal.path / "notes"


def note(journal: JournalPath, text: str) -> None:
    """Append a line; a disk that cannot take it costs the line."""
    try:
        fd = open_private(_file(journal), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError:
        return
    with os.fdopen(fd, "ab") as file:
        if file.tell() < _MOST:
            file.write(" ".join(text.split()).encode(errors="replace") + b"\n")


def note_everywhere(root: Path, text: str) -> None:
    """Append a line for every run that goes."""
    for journal in journals(root):
        if journal.is_live():
            note(journal, text)


class KnownProblems(Notices):
    """Knows what does not work at the moment.

    Args:
        say: Says a line.

    Attributes:
        problems: What does not work, by its subject.
    """

    def __init__(self, say: Callable[[str], None] = lambda _: None) -> None:
        super().__init__(say)
        self.problems: dict[str, str] = {}
        self._order = threading.Lock()  # of the lines, which the threads of the signals write

    def warn(self, subject: str, what: str, reason: str, by: str = "") -> None:
        """Say it once, and remember it."""
        with self._order:
            self.problems[subject] = f"{what}: {reason}"
            super().warn(subject, what, reason, by)

    def over(self, subject: str, text: str, by: str = "") -> None:
        """Say that it is over, and forget it."""
        with self._order:
            super().over(subject, text, by)
            if not self.is_open(subject):
                self.problems.pop(subject, None)


def journal_notices(journal: JournalPath) -> KnownProblems:
    """Return what says beside a journal what concerns its delivery."""
    return KnownProblems(partial(note, journal))


class Notes:
    """Reads what was said beside a journal, each line once."""

    def __init__(self, journal: JournalPath) -> None:
        self._path = _file(journal)
        self._offset = 0

    def new(self) -> Iterator[str]:
        """Yield the lines that came since the last time."""
        try:
            if self._path.lstat().st_size <= self._offset:
                return
            with os.fdopen(open_to_read(self._path), "rb") as file:
                file.seek(self._offset)
                data = file.read(_MOST)
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        yield from whole.decode(errors="replace").splitlines()
