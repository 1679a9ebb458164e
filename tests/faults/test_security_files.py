"""What stands in the journal directory that the runs of this user did not put there, and who may read what they did."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.kit import Place
from journal.kit import T, identity, message, written
from synapse_otel.journal.directory import journals
from synapse_otel.testing import Collector, LogRecord, Refuse, Status

STRANGER = 54321
"""A user id that nobody here has."""

PLUGIN = """
import json, os, sys
import plugin
options = json.loads(sys.argv[1])
os.umask(int(os.environ["HOSTILE_UMASK"], 8))
warnings, counters = plugin.Warnings(), plugin.open_counters(options["counters"])
ctx = plugin.open_context(options)
plugin.Calls(ctx, counters).make(options["calls"], options["pause"])
ctx.flush(30)
if options["pause"]:
    os._exit(0)
plugin.finish(ctx, options, warnings)
"""


def modes(root: Path) -> dict[str, int]:
    """The permissions of everything under a directory, of each kind of file once, as octal digits."""
    found: dict[str, set[int]] = {}
    for path in root.rglob("*"):
        status = path.lstat()
        kind = "directory" if stat.S_ISDIR(status.st_mode) else path.name if path.suffix != ".seg" else "segment"
        found.setdefault(kind, set()).add(stat.S_IMODE(status.st_mode))
    return {kind: mode for kind, (mode,) in found.items()}


@pytest.mark.parametrize("umask", ["000", "777"])
def test_what_a_run_leaves_is_its_owners_only(place: Place, umask: str) -> None:
    """Journals, cursors, dead letters and what the agent writes are 0600, directories 0700, whatever the umask."""
    with Collector() as collector:
        env = place.env(collector, HOSTILE_UMASK=umask, SYNAPSE_OTEL_KEEP_DELIVERED="true")
        collector.fail(Refuse(lambda item: isinstance(item, LogRecord) and item.event_name == "synapse.message"))
        outcome = place.start(env, calls=20, pause=0.001, code=PLUGIN).wait()
        assert (outcome.exit_code, outcome.stderr) == (0, "")
        assert list(place.journal_dir.glob("*/*/dead-letters.jsonl"))
        found = modes(place.journal_dir)
    assert {"segment", "logs.cursor", "dead-letters.jsonl", "lock", "ship.lock", ".swept"} <= found.keys()
    assert found == {kind: 0o700 if kind == "directory" else 0o600 for kind in found}
    assert stat.S_IMODE(place.journal_dir.stat().st_mode) == 0o700


PLANTED: dict[str, Callable[[Path], object]] = {
    "a link to a file": lambda file: file.symlink_to(file.parent.parent.parent.parent / "precious"),
    "a link to a directory": lambda file: file.symlink_to(file.parent.parent.parent.parent / "treasury"),
    "a link to nowhere": lambda file: file.symlink_to(file.parent.parent.parent.parent / "nowhere"),
    "a pipe": os.mkfifo,
    "a directory": os.mkdir,
}
IN_JOURNAL = [
    *("traces.cursor", "metrics.cursor", "logs.cursor", "traces.cursor.new", "logs.cursor.new"),
    *("dead-letters.jsonl", "dead-letters.new", "recovered", "spare-1", "spare-2", "00000002.seg"),
]


@pytest.fixture
def precious(place: Place) -> Path:
    """What nobody may touch, beside the journal directory."""
    (place.directory / "precious").write_text("precious")
    (place.directory / "treasury").mkdir(mode=0o755)
    (place.directory / "treasury" / "00000001.seg").write_text("precious")
    return place.directory


def untouched(directory: Path) -> bool:
    """Whether what is precious is as it was, and nothing was made beside it."""
    files = [directory / "precious", directory / "treasury" / "00000001.seg"]
    return (
        [file.read_text() for file in files] == ["precious"] * 2
        and os.listdir(directory / "treasury") == ["00000001.seg"]
        and not (directory / "nowhere").exists()
        and stat.S_IMODE((directory / "precious").stat().st_mode) == 0o644
    )


def test_nothing_is_followed_and_nothing_hangs(place: Place, precious: Path) -> None:
    """Whatever stands in the place of a journal's file, nothing outside is touched, and others are delivered."""
    for name, (what, plant) in itertools.product(IN_JOURNAL, PLANTED.items()):
        said = f"{name} is {what}"
        path = written(place.journal_dir, [message(said, t=T)], identity=identity(job_id=f"job-{said}"))
        plant(path.path / name)
    written(place.journal_dir, [message("the neighbour", t=T)], identity=identity(job_id="zz-neighbour"))
    with Collector() as collector:
        collector.fail(Status(400), signal="logs", times=3)
        collector.heal()
        env = place.env(collector)
        place.next_start(env, until=lambda: "the neighbour" in collector.messages, timeout=60)
        pushed = place.push(env)
        assert "Traceback" not in pushed.stderr
        delivered = set(collector.messages)
    wanted = {f"{name} is {what}" for name, what in itertools.product(IN_JOURNAL, PLANTED)}
    # What cannot be closed, because a directory is in the place of its end, is kept; all others are delivered.
    assert wanted - delivered == {"recovered is a directory"}
    assert untouched(precious)


@pytest.mark.parametrize("planted", ["a link to a directory", "a pipe", "a directory"])
def test_what_is_planted_in_the_journal_directory_does_not_harm_a_run(
    place: Place, precious: Path, planted: str
) -> None:
    """Where the note of the sweep or the agents' directory is something else, a run is delivered all the same."""
    place.journal_dir.mkdir()
    deeper = place.journal_dir / "x" / "y"  # as deep as the files of a journal
    deeper.mkdir(parents=True)
    for name in (".swept", ".agents"):
        PLANTED[planted](deeper / name)
        (deeper / name).rename(place.journal_dir / name)
    with Collector() as collector:
        outcome = place.start(place.env(collector), calls=40).wait()
        outcome.check_unharmed()
        place.next_start(place.env(collector), until=lambda: place.ledger(collector, outcome).is_settled)
        place.ledger(collector, outcome).check()
    assert untouched(precious)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_a_stranger_wrote_is_not_sent_and_said_once(place: Place) -> None:
    """A journal that another user owns is neither adopted nor changed nor pushed; each of them is said once."""
    theirs = written(place.journal_dir, [message("planted", t=T)], identity=identity(job_id="theirs"))
    for path in (theirs.run, theirs.path, *theirs.path.iterdir()):
        os.chown(path, STRANGER, STRANGER)
    before = {path: path.read_bytes() for path in theirs.path.iterdir()}
    written(place.journal_dir, [message("our own", t=T)], identity=identity(job_id="zz-ours"))
    with Collector() as collector:
        env = place.env(collector)
        outcome = place.start(env, calls=40, pause=0.02).wait()
        place.next_start(env, until=lambda: "our own" in collector.messages)
        pushed = place.push(env)
        assert "planted" not in collector.messages
    assert {path: path.read_bytes() for path in theirs.path.iterdir() if path in before} == before
    said = [line for line in outcome.warnings if str(theirs.path) in line]
    if place.shipper == "thread":
        assert said == [f"the journal {theirs.path} is not sent: the user {STRANGER} owns it"]
    assert f"the user {STRANGER} owns it" in pushed.stdout
    assert pushed.returncode == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("shipper", ["thread"])
def test_a_run_does_not_write_into_what_a_stranger_made(place: Place) -> None:
    """A directory that somebody made who foresaw the run's name is refused: the records stay in memory."""
    with Collector() as collector:
        trace = "ab" * 16
        env = place.env(collector, TRACEPARENT=f"00-{trace}-{'cd' * 8}-01")
        planted = place.journal_dir / f"job-1~{trace[:16]}"
        planted.mkdir(parents=True)
        os.chown(planted, STRANGER, STRANGER)
        outcome = place.start(env, calls=40).wait()
        outcome.check_unharmed(call_budget=1.0)
        assert list(journals(place.journal_dir)) == [] == os.listdir(planted)
        assert any("kept in memory" in line for line in outcome.warnings)
        place.ledger(collector, outcome).check()
