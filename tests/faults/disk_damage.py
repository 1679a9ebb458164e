"""Damage to the files of a journal, as a disk, or somebody at the keyboard, does it."""

from __future__ import annotations

import os
import random

from faults.plugin import KINDS
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.format import JournalError
from synapse_otel.journal.reader import JournalReader
from synapse_otel.journal.records import Record


def scribble(journal: JournalPath, dice: random.Random) -> None:
    """Write random bytes over random places of what is written."""
    for index in journal.segments():
        with journal.segment(index).open("r+b") as file:
            written = len(file.read().rstrip(b"\0"))
            for _ in range(dice.randint(1, 5)):
                file.seek(dice.randrange(written))
                file.write(dice.randbytes(dice.choice((1, 4, 40, 400))))


def cut(journal: JournalPath, dice: random.Random) -> None:
    """Cut the last segment anywhere."""
    file = journal.segment(journal.segments()[-1])
    os.truncate(file, dice.randrange(len(file.read_bytes().rstrip(b"\0"))))


def readable(journal: JournalPath) -> list[Record]:
    """The numbered records that are left; none where nobody can tell whose they are."""
    reader = JournalReader(journal)
    try:
        reader.identity()
    except JournalError:
        return []
    return [entry.record for entry in reader if entry.record.kind in KINDS]
