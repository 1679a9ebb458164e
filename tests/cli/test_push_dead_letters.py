"""`push --dead-letters` sends again what was refused for good, whatever happens meanwhile, and the numbers are true."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.kit import Cli, Result, program, wait_until_nobody_ships
from synapse_otel import RuntimeContext
from synapse_otel.export import dead_letters
from synapse_otel.journal.cursor import saved_cursors
from synapse_otel.journal.directory import JournalPath, journals, journals_of
from synapse_otel.journal.locks import FileLock
from synapse_otel.testing import Collector, PartialSuccess, Refuse, Slow, Status


@pytest.fixture(params=["http/protobuf"])
def protocol(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(autouse=True)
def endpoint(collector: Collector, protocol: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in collector.env(protocol).items():
        monkeypatch.setenv(name, value)


def poisoned(item: object) -> bool:
    """Whether a log record, or an event of a span, says something poisoned."""
    texts = [getattr(item, "body", ""), *(event.attributes.get("message") for event in getattr(item, "events", ()))]
    return any("poison" in str(text) for text in texts)


def refused_run(collector: Collector, poison: int = 1, job: str = "job-1", **where: Any) -> JournalPath:
    """A run that was delivered but for its poisoned messages; its journal, of which only dead letters are left."""
    with collector.failing(Refuse(poisoned, message="no poison"), **where), RuntimeContext.open(job, "train") as ctx:
        for number in range(poison):
            ctx.log_message(f"poison {number}")
        ctx.log_message("harmless")
        assert ctx.flush(20)
    wait_until_nobody_ships(journal_root())
    (run,) = (run for run in {path.run for path in journals(journal_root())} if run.name.startswith(f"{job}~"))
    (path,) = journals_of(run)
    assert path.dead_letters.exists()
    return path


def journal_root() -> Path:
    return Path(os.environ["SYNAPSE_OTEL_JOURNAL_DIR"])


def letters(path: JournalPath) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.dead_letters.read_text().splitlines()]


def counted(path: JournalPath) -> dict[str, int]:
    """How many records the cursors say were refused, by kind."""
    known: dict[str, int] = {}
    for cursor in saved_cursors(path):
        known |= {kind: max(count, known.get(kind, 0)) for kind, count in cursor.dead_lettered.items()}
    return known


@pytest.mark.usefixtures("shipper")
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"], indirect=True)
def test_what_is_taken_goes_with_its_journal(cli: Cli, journal_dir: Path, collector: Collector) -> None:
    """Each letter is sent as it was to the endpoint of its signal; then nothing is left, and nothing to do again."""
    path = refused_run(collector, 2)
    refused = [request.body for request in collector.requests if request.status == 400]
    # Of the logs two messages, of the traces the root span in two parts.
    assert (len(letters(path)), counted(path)) == (4, {"message": 2, "run": 1})
    assert collector.messages == ["harmless"]
    before = len(collector.requests)

    assert cli("push", "--dead-letters") == Result(
        0, "✔ job-1  4 dead letters sent\n4 dead letters of 1 run sent\n", ""
    )

    assert collector.messages == ["harmless", "poison 0", "poison 1"]
    assert {request.body for request in collector.requests[before:]} <= set(refused)
    assert sorted(request.signal or "" for request in collector.requests[before:]) == ["logs"] * 2 + ["traces"] * 2
    assert list(journal_dir.glob("[!.]*")) == []
    assert cli("push", "--dead-letters") == Result(0, "nothing to send\n", "")


@pytest.mark.usefixtures("shipper")
def test_a_run_that_is_kept_is_delivered_then(cli: Cli, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where delivered runs are kept, the journal stays, and everything that shows it says that all is delivered."""
    monkeypatch.setenv("SYNAPSE_OTEL_KEEP_DELIVERED", "true")
    path = refused_run(collector)
    before = json.loads(cli("show", "job-1", "--json").out)["delivery"]
    assert (before["delivered"], before["dead_lettered"]) == (before["accepted"] - 2, 2)
    assert cli("runs").out.splitlines()[1].endswith("dead letters 2")

    assert cli("push", "--dead-letters", "job-1").code == 0

    after = json.loads(cli("show", "job-1", "--json").out)["delivery"]
    assert (after["accepted"], after["delivered"], after["dead_lettered"]) == (
        before["accepted"],
        before["accepted"],
        0,
    )
    assert cli("runs").out.splitlines()[1].endswith("delivered")
    assert (path.dead_letters.exists(), bool(path.segments())) == (False, True)


def test_what_is_refused_again_stays_with_the_new_reason(cli: Cli, collector: Collector) -> None:
    """A letter that is refused again keeps its request and its number, and says what the collector says now."""
    path = refused_run(collector, 2)
    before = letters(path)
    collector.fail(Refuse(lambda item: getattr(item, "body", "") == "poison 1", message="still poison"), signal="logs")

    result = cli("push", "--dead-letters")

    place = collector.http_endpoint
    assert result == Result(
        1,
        "✖ job-1  3 dead letters sent, 1 left\n"
        f"    logs are refused again: {place}: HTTP 400: still poison\n"
        "3 dead letters of 1 run sent, 1 left\n",
        "",
    )
    (left,) = letters(path)
    (was,) = (letter for letter in before if letter["signal"] == "logs" and letter["seq"] == left["seq"])
    assert left == {**was, "reason": f"{place}/v1/logs: HTTP 400: still poison"}
    assert counted(path) == {"message": 1}
    assert stat.S_IMODE(path.dead_letters.stat().st_mode) == 0o600


def test_a_collector_that_is_away_leaves_the_letters_as_they_are(cli: Cli, collector: Collector) -> None:
    """What cannot be sent now stays, is said once, and is waited for no longer than the time that is given."""
    paths = [refused_run(collector, 2), refused_run(collector, 2, "job-2")]
    before = [path.dead_letters.read_bytes() for path in paths]
    collector.stop()
    began = time.monotonic()

    result = cli("push", "--dead-letters", "--timeout", "0.3")

    assert time.monotonic() - began < 3
    why = f"    {collector.http_endpoint}: ConnectionRefusedError: [Errno 111] Connection refused\n"
    assert result == Result(
        1, f"✖ job-1  4 left\n{why}✖ job-2  4 left\n{why}0 dead letters of 0 runs sent, 8 left\n", ""
    )
    assert [path.dead_letters.read_bytes() for path in paths] == before
    collector.start()
    collector.fail(Status(503), times=3)
    assert cli("push", "--dead-letters").out.endswith("8 dead letters of 2 runs sent\n")


def test_one_endpoint_that_is_away_or_serves_nothing_keeps_the_others_from_nothing(
    cli: Cli, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signals go to their own endpoints: the letters of one that is not served, or not configured, stay."""
    path = refused_run(collector, 2)
    with Collector(signals=["traces"]) as jaeger:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{jaeger.http_endpoint}/v1/logs")
        unserved = cli("push", "--dead-letters")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    unconfigured = cli("push", "--dead-letters")

    assert unserved.out.startswith("✖ job-1  2 dead letters sent, 2 left\n    logs are not sent: http")
    assert unconfigured.out.startswith("✖ job-1  2 left\n    logs are not sent: no endpoint is configured for them\n")
    assert ({letter["signal"] for letter in letters(path)}, counted(path)) == ({"logs"}, {"message": 2})


def test_a_part_that_is_rejected_again_is_counted(
    cli: Cli, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A letter of a request whose items were rejected in part is sent as a whole, and stands for fewer records then."""
    monkeypatch.setenv("SYNAPSE_OTEL_KEEP_DELIVERED", "true")
    path = refused_run(collector, 3, signal="logs")
    (first, *_) = map(dead_letters._decoded, path.dead_letters.read_bytes().splitlines())
    assert first
    path.dead_letters.unlink()
    assert dead_letters.bury(path.dead_letters, "logs", 9, "message", "3 rejected: x", first.request, {"message": 3})
    with collector.failing(PartialSuccess(1, "too old")):
        assert cli("push", "--dead-letters").code == 1
    (left,) = letters(path)
    place = collector.http_endpoint
    assert (left["reason"], left["records"], counted(path)) == ("1 rejected: too old", {"message": 1}, {"message": 1})
    assert place not in left["reason"]
    assert cli("push", "--dead-letters").code == 0
    assert counted(path) == {}


def test_what_is_no_letter_stays_and_is_said(cli: Cli, collector: Collector) -> None:
    """Damaged lines, records that could not be encoded, and refused records without a letter: each is said."""
    path = refused_run(collector, 3, signal="logs")
    first, second, _ = path.dead_letters.read_bytes().splitlines(keepends=True)
    unencodable = json.dumps({**json.loads(second), "request": "", "reason": "cannot be encoded: E()"}).encode()
    damaged = [b'{"signal": "logs", "seq"\n', b"\xff\0\n", b'{"signal": "smoke", "seq": 1}\n', b"[" * 5000 + b"\n"]
    path.dead_letters.write_bytes(b"".join([damaged[0], first, b"\n", *damaged[1:], unencodable]))

    result = cli("push", "--dead-letters")

    assert result == Result(
        1,
        "✖ job-1  1 dead letter sent, 5 left\n"
        "    4 lines of dead-letters.jsonl cannot be read\n"
        "    of 1 refused record no letter was kept\n"
        "    what could not be encoded cannot be sent: cannot be encoded: E()\n"
        "1 dead letter of 1 run sent, 5 left\n",
        "",
    )
    assert path.dead_letters.read_bytes() == b"".join([*damaged, unencodable, b"\n"])
    assert counted(path) == {"message": 2}


def test_letters_that_were_never_kept_are_said(cli: Cli, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records whose letters went beyond the limit of the file are counted as refused, and said to be lost."""
    monkeypatch.setattr(dead_letters, "MOST", 3000)
    path = refused_run(collector, 5, signal="logs")
    kept = len(letters(path))
    assert (1 < kept < 4, counted(path)) == (True, {"message": 5})

    assert cli("push", "--dead-letters").out == (
        f"✔ job-1  {kept} dead letters sent\n"
        f"    of {5 - kept} refused records no letter was kept\n"
        f"{kept} dead letters of 1 run sent\n"
    )


def test_runs_that_live_or_are_being_sent_are_left_alone(cli: Cli, collector: Collector) -> None:
    """Whoever holds a lock of a journal may add letters to it: the file is left to him, which is said."""
    path = refused_run(collector)
    before = path.dead_letters.read_bytes()
    shipping, writing = FileLock(path.shipping_lock), FileLock(path.writer_lock)
    shipping.acquire()
    sent = cli("push", "--dead-letters")
    writing.acquire()
    lives = cli("push", "--dead-letters")
    shipping.release()
    kept = cli("push", "--dead-letters")
    writing.release()

    assert sent == Result(0, "· job-1  another process is sending it\nnothing to send\n", "")
    assert lives == Result(0, "· job-1  it is still running and ships itself\nnothing to send\n", "")
    assert kept.out.startswith("· job-1  it is still running and keeps its records")
    assert path.dead_letters.read_bytes() == before


@pytest.mark.parametrize("planted", ["link", "pipe", "directory", "file of somebody else"])
def test_a_file_that_is_not_ours_is_neither_read_nor_replaced(
    cli: Cli, collector: Collector, tmp_path: Path, planted: str
) -> None:
    """What was put in the place of the letters is left, with the reason; nothing is sent and nothing hangs."""
    path = refused_run(collector)
    target = tmp_path / "target"
    path.dead_letters.rename(target)
    match planted:
        case "link":
            path.dead_letters.symlink_to(target)
        case "pipe":
            os.mkfifo(path.dead_letters)
        case "directory":
            path.dead_letters.mkdir()
        case _ if os.getuid() == 0:
            path.dead_letters.write_bytes(target.read_bytes())
            os.chown(path.dead_letters, 65534, 65534)
        case _:
            path.dead_letters.symlink_to("/etc/passwd")
    before = target.read_bytes(), len(collector.requests)

    result = cli("push", "--dead-letters")

    assert (target.read_bytes(), len(collector.requests)) == before
    assert os.path.lexists(path.dead_letters)
    assert (result.code, result.out.splitlines()[0]) == (1, "✖ job-1  1 left")
    assert result.out.splitlines()[1].startswith("    dead-letters.jsonl: ")


@contextmanager
def ordinary_user(path: Path) -> Iterator[None]:
    """Be one for whom permissions count, if this is not so anyway."""
    if os.geteuid() != 0:
        yield
        return
    for parent in path.parents:
        parent.chmod(parent.stat().st_mode | 0o055)
    for found in (path, *path.rglob("*")):
        os.chown(found, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_journal_that_may_not_be_written_is_left_and_nothing_is_sent(
    cli: Cli, collector: Collector, journal_dir: Path
) -> None:
    """Without permission to replace the letters, none is sent, since it would be sent again and again."""
    path = refused_run(collector)
    before = len(collector.requests)
    with ordinary_user(journal_dir):
        path.path.chmod(0o500)
        result = cli("push", "--dead-letters")
        path.path.chmod(0o700)
        path.dead_letters.chmod(0)
        unreadable = cli("push", "--dead-letters")
        path.dead_letters.chmod(0o644)
        assert cli("push", "--dead-letters").code == 0

    denied = "✖ job-1  1 left\n    dead-letters.jsonl: Permission denied\n0 dead letters of 0 runs sent, 1 left\n"
    assert (result, unreadable) == (Result(1, denied, ""), Result(1, denied, ""))
    assert len(collector.requests) == before + 2


def test_killed_in_the_middle_nothing_is_lost(cli: Cli, collector: Collector, journal_dir: Path) -> None:
    """After SIGKILL between two letters, all of them are there as they were, and are sent the next time."""
    path = refused_run(collector, 20, signal="logs")
    content, before = path.dead_letters.read_bytes(), len(collector.requests)
    with collector.failing(Slow(0.05)):
        process = subprocess.Popen([program(), "push", "--dead-letters"], stdout=subprocess.DEVNULL)
        assert collector.wait_for(lambda found: len(found.requests) >= before + 5, timeout=20)
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert (path.dead_letters.read_bytes(), counted(path)) == (content, {"message": 20})
    assert cli("push", "--dead-letters").out == "✔ job-1  20 dead letters sent\n20 dead letters of 1 run sent\n"
    assert sorted(set(collector.messages)) == sorted(["harmless", *(f"poison {number}" for number in range(20))])
    assert list(journal_dir.glob("[!.]*")) == []


KILLED_BEFORE_RENAME = """
import os, sys
def kill(event, arguments):
    if event == "os.rename" and str(arguments[0]).endswith("dead-letters.new"):
        os.kill(os.getpid(), 9)
sys.addaudithook(kill)
from synapse_otel.cli import main
main(["push", "--dead-letters"])
"""


def test_killed_before_the_file_is_replaced_the_numbers_come_out_right(
    cli: Cli, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the cursors were told and the letters are still there, they are sent twice and counted once."""
    monkeypatch.setenv("SYNAPSE_OTEL_KEEP_DELIVERED", "true")
    path = refused_run(collector, 5, signal="logs")
    content = path.dead_letters.read_bytes()
    refuses_one = Refuse(lambda item: getattr(item, "body", "") == "poison 3")
    with collector.failing(refuses_one):
        killed = subprocess.run([sys.executable, "-c", KILLED_BEFORE_RENAME], capture_output=True, check=False)
        assert (killed.returncode, path.dead_letters.read_bytes()) == (-9, content)
        assert cli("push", "--dead-letters").out.startswith("✖ job-1  4 dead letters sent, 1 left\n")
    assert (len(letters(path)), counted(path)) == (1, {"message": 1})
    assert cli("push", "--dead-letters").code == 0
    assert (counted(path), cli("runs").out.splitlines()[1].endswith("delivered")) == ({}, True)


def test_interrupted_it_leaves_the_letters_as_they_were(cli: Cli, collector: Collector) -> None:
    """Ctrl-C ends it at once with 130; the letters are there."""
    path = refused_run(collector, 5)
    content = path.dead_letters.read_bytes()
    before = len(collector.requests)
    with collector.failing(Slow(5)):
        process = subprocess.Popen(
            [program(), "push", "--dead-letters"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert collector.wait_for(lambda found: len(found.requests) > before, timeout=20)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=3)
    assert (process.returncode, said) == (130, "interrupted: what is not sent stays in the journal\n")
    assert (path.dead_letters.read_bytes(), list(path.path.glob("*.new"))) == (content, [])


def test_what_push_refuses_is_said_with_what_to_do(
    cli: Cli, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`push` names the command for what it had to leave as a dead letter."""
    collector.stop()
    monkeypatch.setenv("SYNAPSE_OTEL_FINISH_TIMEOUT", "0")
    with RuntimeContext.open("job-1", "train") as ctx:
        ctx.log_message("poison")
    collector.start()
    collector.fail(Refuse(poisoned), signal="logs")

    lines = cli("push").out.splitlines()

    assert lines[-2] == "    when that is mended: synapse-otel push --dead-letters"
