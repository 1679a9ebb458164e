"""Sends dead letters again, and keeps what is left of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from synapse_otel.export.dead_letters import Letter, encoded, read
from synapse_otel.export.settings import SIGNALS, Signal
from synapse_otel.journal.cursor import CursorFile
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.locks import open_private, remove_file


class Tally:
    """How many records the letters that are added in their order stand for, by signal and kind."""

    def __init__(self) -> None:
        self.records: dict[Signal, Counter[str]] = {signal: Counter() for signal in SIGNALS}
        self._last: dict[Signal, tuple[int, Counter[str]]] = {}

    def add(self, letter: Letter) -> None:
        """Count a letter."""
        seq, known = self._last.get(letter.signal, (letter.seq, Counter[str]()))
        known = known if seq == letter.seq else Counter()
        together = known | letter.counted
        self.records[letter.signal] += together - known
        self._last[letter.signal] = letter.seq, together


@dataclass(slots=True)
class Rest:
    """What is left of the dead letters of a journal.

    Attributes:
        letters: How many letters stay.
        damaged: How many lines hold none, and stay too.
        lost: How many records were refused of which there is no letter.
    """

    letters: int = 0
    damaged: int = 0
    lost: int = 0


def retry(path: JournalPath, resend: Callable[[Letter], Letter | None]) -> Rest:
    """Go through the letters of a journal, one at a time, and keep what is left of them; its shipping lock is held.

    The file is replaced as a whole: who dies before has sent letters that are sent again, and lost none. The cursors
    are told first, and what is left rather than what went, so that they can be told once more.

    Args:
        path: The journal.
        resend: Sends a letter; returns None if it was taken, else what stays of it.

    Raises:
        OSError: The file cannot be read, or not be replaced; then it is as it was.
    """
    before, after, rest = Tally(), Tally(), Rest()
    temporary = path.dead_letters.with_suffix(".new")
    try:
        with os.fdopen(open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as target:
            for line, letter in read(path.dead_letters):
                if letter is None:
                    rest.damaged += 1
                    target.write(line)
                    continue
                before.add(letter)
                if (kept := resend(letter)) is not None:
                    after.add(kept)
                    rest.letters += 1
                    target.write(line if kept is letter else encoded(kept))
            target.flush()
            os.fsync(target.fileno())  # soon the only copy
        rest.lost = _tell_cursors(path, before, after)
        _replace(path.dead_letters, temporary, is_empty=not (rest.letters or rest.damaged))
    finally:
        remove_file(temporary)
    return rest


def without_letter(path: JournalPath) -> int:
    """Return how many records were refused of a journal that has no letters."""
    return _tell_cursors(path, Tally(), Tally())


def _replace(file: Path, temporary: Path, *, is_empty: bool) -> None:
    if is_empty:
        file.unlink()
    else:
        temporary.replace(file)


def _tell_cursors(path: JournalPath, before: Tally, after: Tally) -> int:
    """Count in the cursors what is left of the letters; return how many refused records have none."""
    lost = Counter[str]()
    for signal in SIGNALS:
        file = CursorFile(path.cursor(signal))
        cursor = file.load()
        refused = Counter(cursor.dead_lettered)
        gone = refused - before.records[signal]
        left = (gone + after.records[signal]) & refused
        lost |= gone
        if left != refused:
            file.save(msgspec.structs.replace(cursor, dead_lettered=dict(left)))
    return lost.total()
