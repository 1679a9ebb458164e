from __future__ import annotations

import time
from pathlib import Path

import pytest

from cli.kit import SECOND, START, Cli, Result, a_run, identity, only_journal, write_journal
from synapse_otel.journal import records as rec
from synapse_otel.journal.locks import FileLock
from synapse_otel.journal.writer import Journal
from synapse_otel.testing import Collector, Refuse, Status


@pytest.fixture(autouse=True)
def endpoint(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in collector.env().items():
        monkeypatch.setenv(name, value)


def test_all_that_was_kept_is_sent_the_oldest_first_and_goes(
    cli: Cli, journal_dir: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNAPSE_OTEL_KEEP_DELIVERED", "false")
    a_run(journal_dir, "late", number=2, started=START + SECOND)
    a_run(journal_dir, "early")

    assert cli("push") == Result(0, "✔ early  4 records sent\n✔ late  4 records sent\n8 records of 2 runs sent\n", "")
    assert [span.resource["job_id"] for span in collector.spans if span.name == "train"][:1] == ["early"]
    assert collector.messages == ["half way", "half way"]
    assert list(journal_dir.glob("[!.]*")) == []
    assert cli("push") == Result(0, "nothing to send\n", "")


def test_only_the_named_runs_are_sent(cli: Cli, journal_dir: Path, collector: Collector) -> None:
    for number, job in enumerate(("a-1", "a-2", "b"), start=1):
        a_run(journal_dir, job, number=number, started=START + number)

    assert cli("push", "a", "a-1").out == "✔ a-1  4 records sent\n✔ a-2  4 records sent\n8 records of 2 runs sent\n"
    assert [line.split()[0] for line in cli("runs").out.splitlines() if line.endswith("kept")] == ["b"]


def test_delivered_runs_are_kept_for_show_and_never_sent_again(
    cli: Cli, journal_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(journal_dir)

    assert cli("push").code == 0
    assert cli("runs").out.splitlines()[1].endswith("delivered")

    monkeypatch.setenv("SYNAPSE_OTEL_KEEP_DELIVERED", "false")

    assert cli("push") == Result(0, "nothing to send\n", "")
    assert cli("runs").out.splitlines()[1].endswith("delivered")


def test_a_crashed_run_is_closed_and_sent(cli: Cli, journal_dir: Path, collector: Collector) -> None:
    a_run(journal_dir, status="crashed")

    assert cli("push").out == "✔ job-1  4 records sent\n4 records of 1 run sent\n"
    (status,) = [span.attributes["synapse.run.status"] for span in collector.spans if not span.parent_span_id]
    assert status == "crashed"


def test_a_collector_that_is_away_leaves_all_in_the_journal_within_the_time(
    cli: Cli, journal_dir: Path, collector: Collector
) -> None:
    a_run(journal_dir)
    a_run(journal_dir, "job-2", number=2, started=START + SECOND)
    collector.stop()
    began = time.monotonic()

    result = cli("push", "--timeout", "0.3")

    assert time.monotonic() - began < 3
    assert result == Result(
        1,
        "✖ job-1  4 left\n"
        f"    {collector.http_endpoint}: ConnectionRefusedError: [Errno 111] Connection refused\n"
        "✖ job-2  4 left\n"
        "    not tried any more\n"
        "0 records of 0 runs sent, 8 left\n",
        "",
    )
    collector.start()
    assert cli("push").code == 0


def test_a_collector_that_is_busy_is_waited_for(cli: Cli, journal_dir: Path, collector: Collector) -> None:
    a_run(journal_dir)
    collector.fail(Status(503), times=4)

    assert cli("push").out == "✔ job-1  4 records sent\n4 records of 1 run sent\n"


def test_what_the_collector_refuses_for_good_is_left_and_said(
    cli: Cli, journal_dir: Path, collector: Collector
) -> None:
    a_run(journal_dir)
    collector.fail(Refuse(lambda item: getattr(item, "body", "") == "half way", status=400), signal="logs")

    result = cli("push")

    assert result.code == 1
    assert result.out.startswith("✖ job-1  3 records sent, 1 left\n")
    assert "a refused record (message) is kept as a dead letter: http" in result.out
    assert only_journal(next(journal_dir.iterdir())).dead_letters.exists()
    assert cli("push") == Result(0, "nothing to send\n", "")


def test_a_signal_that_is_not_served_keeps_nothing_back(
    cli: Cli, journal_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(journal_dir)
    with Collector(signals=["traces"]) as jaeger:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.http_endpoint)

        result = cli("push")

    assert result.code == 0
    assert result.out.startswith("✔ job-1  4 records sent\n")
    assert "metrics are not sent: http" in result.out


def test_a_run_that_lives_is_left_alone(cli: Cli, journal_dir: Path) -> None:
    began = time.time_ns()
    journal = Journal(journal_dir, identity("live", started=began))
    journal.append(rec.RunStarted(began))
    assert journal.path is not None

    kept = cli("push", "live")
    lock = FileLock(journal.path.shipping_lock)
    lock.acquire()
    shipping = cli("push", "live")
    lock.release()
    journal.close()

    assert kept == Result(
        0, "· live  it is still running and keeps its records: push it when it has ended\nnothing to send\n", ""
    )
    assert shipping == Result(0, "· live  it is still running and ships itself\nnothing to send\n", "")


def test_a_run_that_another_process_sends_is_left_to_it(cli: Cli, journal_dir: Path) -> None:
    lock = FileLock(only_journal(a_run(journal_dir)).shipping_lock)
    lock.acquire()

    result = cli("push")
    lock.release()

    assert result == Result(0, "· job-1  another process is sending it\nnothing to send\n", "")


def test_a_journal_that_cannot_be_read_is_left_with_the_reason_and_the_others_are_sent(
    cli: Cli, journal_dir: Path
) -> None:
    only_journal(a_run(journal_dir, "bad", number=2)).segment(1).write_bytes(b"garbage" * 10)
    write_journal(journal_dir, identity("good"), rec.RunEnded(START + SECOND, "completed"))

    result = cli("push")

    assert result.code == 1
    assert "✔ good  2 records sent\n" in result.out
    assert "✖ bad  " in result.out
    assert "expected the magic" in result.out


def test_without_an_endpoint_it_says_which_variable_to_set(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")

    assert cli("push") == Result(
        2,
        "",
        "error: no endpoint is configured: set OTEL_EXPORTER_OTLP_ENDPOINT, for example\n"
        "  export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318\n",
    )


def test_over_grpc_it_is_the_same(
    cli: Cli, journal_dir: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in collector.env("grpc").items():
        monkeypatch.setenv(name, value)
    a_run(journal_dir)

    assert cli("push").out == "✔ job-1  4 records sent\n4 records of 1 run sent\n"
    assert collector.messages == ["half way"]
