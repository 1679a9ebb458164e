"""Reads one journal again and again, from where the last reading ended, and folds what is new."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version

from synapse_otel.cli.seen_delivery import SeenDelivery
from synapse_otel.cli.view import SeriesView
from synapse_otel.cli.view_builder import JournalFacts, JournalFold
from synapse_otel.journal import format as fmt
from synapse_otel.journal import records as rec
from synapse_otel.journal.directory import JournalPath
from synapse_otel.journal.locks import open_to_read
from synapse_otel.journal.reader import START, Entry, JournalReader, Position
from synapse_otel.projection.redaction import Redactor
from synapse_otel.projection.resource import Origin

UNKNOWN = "unknown"


class JournalTail:
    """One journal and what is known of it so far.

    Delivered segments may be removed before they are read, and the whole journal as soon as its run has ended: the
    segment that is being read is held open, so that the end is seen nevertheless. A journal may also be removed by
    anybody, at any time.

    Args:
        path: The journal.
        redactor: Takes credentials out of the names of spans.
        most_lines: How many lines of the timeline to keep, the last ones; None for all.
        most_spans: How many spans to keep; None for all.
        new_series: Makes the series of a category, a key and a journal.

    Raises:
        JournalError, OSError: It cannot be read.
    """

    def __init__(
        self,
        path: JournalPath,
        redactor: Redactor,
        most_lines: int | None = None,
        most_spans: int | None = None,
        new_series: Callable[[str, str, str], SeriesView] = SeriesView,
    ) -> None:
        self.path = path
        self.is_live = True
        self.is_over = False
        self._reader = JournalReader(path)
        origin = Origin(self._reader.identity(), version("synapse-otel"), redactor)
        self.fold = JournalFold(origin, most_lines, most_spans, new_series)
        self._position = START
        self._damaged = self._removed = 0
        self._held = _HeldSegment()
        self._is_readable = True
        self.delivery = SeenDelivery(path)

    def read(self) -> bool:
        """Fold the next records, some thousands at most; return whether there were any.

        Raises:
            JournalError, OSError: What comes next cannot be read.
        """
        # Asked before it is read: a run that ends meanwhile is seen to have ended.
        self.is_live = self.is_live and self.path.is_live()
        batch = self._reader.read(self._position)
        self._damaged += batch.missing
        position = self._position
        for entry in batch.entries:
            if entry.seq > position.seq:
                self._count_gap(position, entry)
            self.fold.take(entry.record, entry.seq)
            position = entry.after
        self._position = batch.after
        if batch.entries or batch.missing:
            self._held.hold(self.path, self._position.segment)
            return True
        self.delivery.look()
        if self.fold.ended or not self.is_live:  # where a file system has no locks, only the end itself tells
            self._finish()
        return False

    def give_up(self) -> None:
        """Read no more of what cannot be read."""
        self._is_readable = False
        if not self.fold.ended:
            self._end_unknown("the journal became unreadable before its end was read")
        self.is_over = True
        self.close()

    def facts(self) -> JournalFacts:
        """Return what is known beside the records."""
        self.delivery.look()
        has_ended = self.fold.ended is not None and self.fold.ended.status != UNKNOWN
        journal = self._reader if self._is_readable else None
        report = self.delivery.report(self.fold.counts, self.fold.dropped, journal, has_ended=has_ended)
        return JournalFacts(self.is_live, self.delivery.has_begun, report, self._damaged, self._removed)

    def close(self) -> None:
        """Let the segment go."""
        self._held.close()

    def _count_gap(self, before: Position, entry: Entry) -> None:
        """Tell whether the records between a position and an entry were removed, with their segments, or damaged."""
        passed = range(max(1, before.segment), entry.segment)
        if not all(self.path.segment(index).exists() for index in passed):
            self._removed += entry.seq - before.seq
            self._damaged -= entry.seq - before.seq

    def _finish(self) -> None:
        """Take what is left of a journal that was removed; where even that does not tell how it ended, say so."""
        if not self.path.segments():
            for seq, record in enumerate(self._held.records(self._position.offset), self._position.seq):
                self.fold.take(record, seq)
            if self.fold.status(JournalFacts()) == "crashed":
                self._end_unknown("the journal was removed before its end was read")
        self.is_over = True
        self.close()

    def _end_unknown(self, message: str) -> None:
        self.fold.ended = rec.RunEnded(self.fold.last, UNKNOWN, message)


class _HeldSegment:
    """A segment that is open, so that it can still be read when it is removed."""

    def __init__(self) -> None:
        self._index = 0
        self._fd: int | None = None

    def hold(self, path: JournalPath, index: int) -> None:
        """Hold the segment `index` instead of another."""
        if index == self._index:
            return
        self.close()
        with suppress(OSError):  # removed meanwhile, or too many files are open: then without
            self._fd = open_to_read(path.segment(index))
            self._index = index

    def records(self, offset: int) -> list[rec.Record]:
        """Return the records from `offset` on."""
        if self._fd is None:
            return []
        data = os.pread(self._fd, min(os.fstat(self._fd).st_size, fmt.MAX_SEGMENT), offset)
        found = (rec.decoded(frame.payload or b"") for frame in fmt.intact_frames(data))
        return [record for record in found if record is not None]

    def close(self) -> None:
        """Let it go."""
        fd, self._fd, self._index = self._fd, None, 0
        if fd is not None:
            os.close(fd)
