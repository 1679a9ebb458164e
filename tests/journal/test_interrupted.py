"""An append that is overtaken, in its own thread, after each call it makes: where CPython runs handlers of signals."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from journal.kit import entries, message, open_journal, read_all, texts
from synapse_otel.journal.writer import Journal

SEGMENT = 400


def overtaken(journal: Journal, text: str, handler: Callable[[], None], place: int) -> tuple[bool, bool]:
    """Append `text`, with `handler` run after call number `place`; return whether it ran, and `text` was kept."""
    calls = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        if event in ("call", "c_return"):
            calls += 1
            if calls == place + 1:
                sys.setprofile(None)
                handler()

    sys.setprofile(profile)
    try:
        journal.append(message(text))
        kept = True
    except RuntimeError:
        kept = False
    finally:
        sys.setprofile(None)
    return calls > place, kept


def almost_full(root: Path) -> tuple[Journal, list[str]]:
    """Return a journal in whose segment there is no room for one more message, and what it holds."""
    journal = open_journal(root, first_segment=SEGMENT, segment=SEGMENT)
    held = [str(number) for number in range(8)]
    for text in held:
        journal.append(message(text))
    while journal._segment.capacity - journal._segment.offset >= 50:
        held.append("more")
        journal.append(message("more"))
    return journal, held


@pytest.mark.parametrize("handled", [1, 9])
def test_whatever_a_handler_appends_is_kept(tmp_path: Path, handled: int) -> None:
    """Wherever a handler appends within the segment or far beyond it, each record is there once, none is torn."""
    more = [f"handler {number}" for number in range(handled)]
    for place in itertools.count():
        journal, held = almost_full(tmp_path / str(place))

        def handle(journal: Journal = journal) -> None:
            for text in more:
                journal.append(message(text))

        ran, kept = overtaken(journal, "overtaken", handle, place)
        journal.append(message("after"))
        journal.close()
        assert journal.path
        found = read_all(journal.path)
        assert kept
        assert sorted(texts(found.entries)) == sorted([*held, *(more if ran else []), "overtaken", "after"])
        assert ([entry.seq for entry in found.entries], found.missing) == (list(range(len(found.entries))), 0)
        assert journal.path.spares() == []
        if not ran:
            break
    assert place > 20


def test_a_handler_may_close_at_any_call(tmp_path: Path) -> None:
    """Wherever a handler closes the journal, what was held stays, and the append was made or is refused."""
    refused = 0
    for place in itertools.count():
        journal, held = almost_full(tmp_path / str(place))

        def close(journal: Journal = journal) -> None:
            journal.append(message("end"))
            journal.close()

        ran, kept = overtaken(journal, "overtaken", close, place)
        refused += not kept
        with pytest.raises(RuntimeError, match="closed"):
            close() if ran else [journal.close(), journal.append(message("late"))]
        assert journal.path
        found = texts(entries(journal.path))
        assert sorted(found) == sorted([*held, *(["end"] if ran else []), *(["overtaken"] if kept else [])])
        assert journal.path.spares() == []
        if not ran:
            break
    assert 10 < refused < place
