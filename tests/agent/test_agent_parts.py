"""The bell, the place, the notes: parts of the agent by themselves."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from synapse_otel.agent.bell import Bell, ring
from synapse_otel.agent.notes import Notes, note
from synapse_otel.agent.place import AgentPlace, clear_abandoned, places
from synapse_otel.journal.directory import JournalPath, journal_of
from synapse_otel.journal.locks import FileLock


@pytest.fixture
def place(tmp_path: Path) -> AgentPlace:
    """A place without an agent."""
    return AgentPlace(tmp_path / "runs", "0123456789abcdef")


@pytest.fixture
def listening(place: AgentPlace) -> Iterator[int]:
    """The pipe of a place whose agent listens."""
    lock = place.take()
    assert lock is not None
    fd = place.open()
    yield fd
    os.close(fd)
    lock.release()


def test_nobody_is_asked_where_nobody_listens(place: AgentPlace) -> None:
    """Without a pipe, or with one that no agent reads, the answer is no, at once."""
    assert not ring(place.bell, "ship", "run/journal")
    place.path.mkdir(parents=True)
    os.mkfifo(place.bell)
    assert not ring(place.bell, "ship", "run/journal")
    place.bell.unlink()
    place.bell.write_text("no pipe")
    assert not ring(place.bell, "ship", "run/journal")
    assert place.bell.read_text() == "no pipe"


def test_requests_are_lines(place: AgentPlace, listening: int) -> None:
    """Requests come in order, also when they are read in pieces; what is none is passed over."""
    bell = Bell(listening)
    assert ring(place.bell, "ship", "run/one")
    assert ring(place.bell, "look")
    assert list(bell.requests()) == [("ship", "run/one"), ("look", "")]
    with place.bell.open("wb", buffering=0) as pipe:
        pipe.write(b"dance run/two\n\xff\xfe\n\nflush run/th")
        assert list(bell.requests()) == []
        pipe.write(b"ree\n" + b"x" * 50_000)
        assert list(bell.requests()) == [("flush", "run/three")]
        pipe.write(b"\nship run/four\n")
        assert list(bell.requests()) == [("ship", "run/four")]


def test_a_full_pipe_does_not_hold_up_who_rings(place: AgentPlace, listening: int) -> None:
    """Whoever rings an agent that does not listen is told no when the pipe is full, and never waits."""
    assert listening
    rung = 0
    while ring(place.bell, "ship", "run/journal"):
        rung += 1
    assert rung > 1000


def test_one_of_many_takes_the_place(place: AgentPlace) -> None:
    """Of threads that want to start an agent at the same moment one may, while others remove the place again."""
    taken: list[FileLock] = []
    overlaps: list[int] = []

    def take_and_clear() -> None:
        for _ in range(100):
            lock = place.take()
            if lock is not None:
                taken.append(lock)
                overlaps.append(len(taken))
                taken.remove(lock)
                place.clear()
                lock.release()

    threads = [threading.Thread(target=take_and_clear) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(overlaps) > 10
    assert set(overlaps) == {1}
    assert not place.path.exists()


@pytest.mark.parametrize(
    "name", ["", "run", "run/journal/x", "../runs/run/journal", "run/..", ".agents/journal", "/etc/passwd", "run/link"]
)
def test_only_journals_are_asked_for(tmp_path: Path, name: str) -> None:
    """A request can name a journal of the directory and nothing else, no link either."""
    (tmp_path / "run" / "journal").mkdir(parents=True)
    (tmp_path / ".agents" / "journal").mkdir(parents=True)
    (tmp_path / "run" / "link").symlink_to(tmp_path)
    assert journal_of(tmp_path, "run/journal") == JournalPath(tmp_path / "run" / "journal")
    assert journal_of(tmp_path, name) is None


def test_notes_are_read_once(tmp_path: Path) -> None:
    """Each line that is noted beside a journal is read once, as one line, and a flood of them ends."""
    journal = JournalPath(tmp_path)
    notes = Notes(journal)
    assert list(notes.new()) == []
    note(journal, "first\nof two lines")
    note(journal, "second \udcff")
    assert list(notes.new()) == ["first of two lines", "second ?"]
    assert list(notes.new()) == []
    for _ in range(1000):
        note(journal, "x" * 1000)
    assert len(list(notes.new())) < 300


def test_what_killed_agents_left_is_removed(tmp_path: Path) -> None:
    """The files of agents that are dead go, those of the living stay."""
    dead, living = AgentPlace(tmp_path, "0" * 16), AgentPlace(tmp_path, "1" * 16)
    lock = living.take()
    for place in (dead, living):
        (place.path).mkdir(parents=True, exist_ok=True)
        place.state.write_text("{}")
        place.state.with_suffix(".new").write_text("")
    clear_abandoned(tmp_path)
    assert lock is not None
    assert list(places(tmp_path)) == [living]
    assert living.state.exists()


def test_an_agent_is_not_led_elsewhere(tmp_path: Path) -> None:
    """A symbolic link in the place of an agent's directory is an error, and nothing is written behind it."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root = tmp_path / "runs"
    root.mkdir()
    (root / ".agents").symlink_to(elsewhere)
    with pytest.raises(NotADirectoryError, match="a symbolic link is in the place of an agent"):
        AgentPlace(root, "0" * 16).take()
    assert list(elsewhere.iterdir()) == []
