"""What a receiver refuses costs a record only where it is about that record, and what is lost is said once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from synapse_otel import OTelLogger, RuntimeContext, TelemetrySettings
from synapse_otel.cli import main
from synapse_otel.export import dead_letters
from synapse_otel.journal.directory import journals
from synapse_otel.testing import Collector, PartialSuccess, Refuse, Status
from synapse_otel.testing.answers import Answer
from synapse_otel.testing.calls import Call

NGINX = b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"
GO = b"Client sent an HTTP request to an HTTPS server.\n"


@pytest.fixture
def protocol() -> str:
    return "http/protobuf"


def is_poisoned(item: object) -> bool:
    return "poison" in str(getattr(item, "body", ""))


@pytest.mark.parametrize("body", [NGINX, GO, None], ids=["nginx", "Go", "no words"])
@pytest.mark.parametrize("served", [False, True])
def test_a_receiver_that_refuses_everything_costs_no_record(
    collector: Collector, body: bytes | None, served: bool
) -> None:
    """A port that speaks TLS, from the beginning or from now on, answers 400 to everything: all is kept until later."""
    with RuntimeContext.open("job-1") as ctx:
        if served:
            ctx.log_message("before")
            assert ctx.flush(10)
        with collector.failing(Status(400, body=body)):
            for number in range(20):
                ctx.log_message(f"message {number}")
            assert not ctx.flush(1)
            assert ctx.report().dead_lettered == 0
        assert ctx.flush(20)
        assert ctx.report().delivered == ctx.report().accepted
    assert collector.messages == ["before"] * served + [f"message {number}" for number in range(20)]


def test_a_receiver_that_recovers_between_two_requests_costs_no_record(collector: Collector) -> None:
    """What refused a record, and takes the empty request that asks for the reason, is asked for the record again."""
    with RuntimeContext.open("job-1") as ctx:
        assert ctx.flush(10)
        collector.fail(Status(400), times=1, signal="logs")
        ctx.log_message("hello")
        assert ctx.flush(10)
        assert ctx.report().dead_lettered == 0
    assert collector.messages == ["hello"]


@dataclass(frozen=True)
class Judging:
    """Answers 400 to what `words` has words about; a web page, if they begin like one."""

    words: Callable[[Call], bytes]

    def apply(self, call: Call) -> Answer:
        words = self.words(call)
        return Status(400, body=words).apply(call) if words else call.accept()


@pytest.mark.parametrize(
    "words",
    [
        lambda call: NGINX if any(map(is_poisoned, call.items)) else b"",
        lambda call: b"bad record" if any(map(is_poisoned, call.items)) else b"" if call.items else b"nothing in it",
    ],
    ids=["a firewall that answers with a page", "a receiver that takes no empty request"],
)
def test_a_record_that_is_refused_by_itself_holds_nobody_up(
    collector: Collector, words: Callable[[Call], bytes]
) -> None:
    """Where it is the content, one record is a dead letter and its neighbours arrive, whatever else is refused."""
    with RuntimeContext.open("job-1") as ctx:
        ctx.log_message("before")
        assert ctx.flush(10)
        collector.fail(Judging(words), signal="logs")
        for number in range(20):
            ctx.log_message("poison" if number == 7 else f"message {number}")
        assert ctx.flush(10)
        message = ctx.report().by_kind["message"]
    assert (message.accepted, message.delivered, message.dead_lettered) == (21, 20, 1)
    assert collector.messages == ["before", *(f"message {number}" for number in range(20) if number != 7)]


def test_what_was_rejected_in_part_is_counted_down_when_it_is_taken(
    collector: Collector, journal_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The letter of a partial success knows how many records it stands for."""
    monkeypatch.setenv("SYNAPSE_OTEL_KEEP_DELIVERED", "true")
    collector.fail(PartialSuccess(3, "too old"), times=1, signal="logs")
    with RuntimeContext.open("job-1") as ctx:
        for number in range(10):
            ctx.log_message(f"message {number}")
        assert ctx.flush(10)
        assert ctx.report().dead_lettered == 3
    (path,) = journals(journal_dir)
    assert [letter and letter.records for _, letter in dead_letters.read(path.dead_letters)] == [{"message": 3}]
    with pytest.raises(SystemExit) as ended:
        main(["push", "--dead-letters"])
    assert (ended.value.code, path.dead_letters.exists()) == (0, False)
    assert sorted(set(collector.messages)) == sorted(f"message {number}" for number in range(10))


def test_a_letter_that_cannot_be_kept_is_not_said_to_be(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond the limit of the file a refused record is lost, which is said once beside those that are kept."""
    monkeypatch.setattr(dead_letters, "MOST", 1500)
    collector.fail(Refuse(is_poisoned), signal="logs")
    with caplog.at_level(logging.WARNING, "synapse_otel"), RuntimeContext.open("job-1") as ctx:
        for number in range(20):
            ctx.log_message(f"poison {number}")
        assert ctx.flush(10)
        assert ctx.report().dead_lettered == 20
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "a refused record (message) is kept as a dead letter",
        "a refused record (message) is lost, as there is no room for a dead letter",
    ]


def test_damaged_records_are_said_once(
    collector: Collector, journal_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Records that somebody scribbled over are counted as dropped, and said in the run's log, once for all signals."""
    with caplog.at_level(logging.WARNING, "synapse_otel"), RuntimeContext.open("job-1") as ctx:
        with collector.failing(Status(503)):
            ctx.log_message("first")
            assert not ctx.flush(1)
            for number in range(100):
                ctx.log_message(f"message {number}")
            (path,) = journals(journal_dir)
            with path.segment(1).open("rb+") as file:
                file.seek(path.segment(1).read_bytes().index(b"message 50"))
                file.write(b"XXXX")
        assert ctx.flush(20)
        assert ctx.report().dropped == 1
    said = [record.getMessage() for record in caplog.records if "damaged" in record.getMessage()]
    assert said == ["records of the run job-1 are damaged and cannot be sent: 1 at once"]


def test_a_full_journal_in_memory_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the disk takes nothing and the memory is full, the run's log says that records are dropped."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("SYNAPSE_OTEL_JOURNAL_DIR", str(tmp_path / "file" / "runs"))
    with caplog.at_level(logging.WARNING, "synapse_otel"):
        logger = OTelLogger("job-1", settings=TelemetrySettings(finish_timeout=0.1))
        for _ in range(1500):
            logger.log_message("x" * 100_000)
        logger.finish()
    assert logger.report().dropped > 100
    assert sum("the journal in memory is full" in record.getMessage() for record in caplog.records) == 1
