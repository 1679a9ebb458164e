from __future__ import annotations

import json
import math
import time
from pathlib import Path

import pytest

from cli.kit import SECOND, START, Cli, Result, a_run, identity, only_journal, write_journal
from synapse_otel.journal import records as rec
from synapse_otel.journal.cursor import Cursor, CursorFile
from synapse_otel.journal.reader import JournalReader
from synapse_otel.journal.writer import Journal

LOAD, FIT = b"L" * 8, b"F" * 8
TRACEBACK = """\
Traceback (most recent call last):
  File "plugin.py", line 3, in train
    fit()
ValueError: token=hunter2hunter2"""


def at(seconds: float) -> int:
    return START + int(seconds * SECOND)


@pytest.fixture
def run(journal_dir: Path) -> Path:
    """A run that failed, with something of everything."""
    return write_journal(
        journal_dir,
        identity("job-1"),
        rec.ActionNamed(at(0), "training"),
        rec.StepStarted(at(0), LOAD, b"", "load"),
        rec.Event(at(0.5), LOAD, b"", "data_loaded", "info", {"count": 1000, "api_key": "abc"}, "/data.csv"),
        rec.StepEnded(at(2), LOAD, "completed"),
        rec.StepStarted(at(2), FIT, b"", "fit"),
        rec.Progress(at(2), FIT, b"", "epochs", 1, 4),
        rec.Metrics(at(3), FIT, b"", "training", {"loss": 2.5, "epoch": 1}),
        rec.Progress(at(4), FIT, b"", "epochs", 2, 4),
        rec.Metrics(at(5), FIT, b"", "training", {"loss": math.nan, "epoch": 2}),
        rec.Message(at(6), FIT, b"", "memory is\n\x1b[31mlow", "warning"),
        rec.DevEvent(at(7), FIT, b"", "cache", {"hits": 3}),
        rec.ExceptionRecorded(at(8), FIT, b"", "ValueError", "token=hunter2hunter2", TRACEBACK),
        rec.StepEnded(at(8), FIT, "failed", "token=hunter2hunter2"),
        rec.ExceptionRecorded(at(8), b"", b"", "ValueError", "token=hunter2hunter2", TRACEBACK),
        rec.RunEnded(at(8), "failed", "token=hunter2hunter2"),
    ).run


EXPECTED = """\
train  ✖ failed  8.0 s
  job      job-1
  action   training
  started  2025-06-15 15:06:40
  trace    01010101010101010101010101010101
  process  pid 101 on box

Spans
  train       ━━━━━━━━━━━━━━━━━━  8.0 s  ✖
    load      ━━━━                2.0 s  ✔
    fit           ━━━━━━━━━━━━━━  6.0 s  ✖ ValueError: token=[REDACTED]
      epochs      ━━━━━━━━━━━━━━  6.0 s  ✖

Progress
  epochs  ━━━━━━━━━━━━············  50 %  2/4  2.0 s

Metrics
                      first  last  min  max  samples
  training/loss   ▄×    2.5   NaN  2.5  2.5        2  1 not finite
  training/epoch  ▁█      1     2    1    2        2

Timeline
  15:06:40.500  ℹ data_loaded  count=1000 api_key=[REDACTED]  /data.csv
  15:06:46.000  ⚠ memory is
                  \\x1b[31mlow
  15:06:47.000  · cache  hits=3
  15:06:48.000  ✖ ValueError: token=[REDACTED]

Exception
  Traceback (most recent call last):
    File "plugin.py", line 3, in train
      fit()
  ValueError: token=[REDACTED]

Delivery  16 records kept here, nothing was sent: synapse-otel push job-1

"""


def test_a_run_is_shown_with_all_that_there_is(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "76")

    assert cli("show", "job-1") == Result(0, EXPECTED, "")


def test_json_has_every_sample_and_is_valid(cli: Cli, run: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found = json.loads(cli("show", "--json").out, parse_constant=refuse)

    assert found["metrics"] == [
        {
            "category": "training",
            "key": "loss",
            "process": "0" * 31 + "1",
            "samples": [["2025-06-15T15:06:43.000000+00:00", 2.5], ["2025-06-15T15:06:45.000000+00:00", "NaN"]],
        },
        {
            "category": "training",
            "key": "epoch",
            "process": "0" * 31 + "1",
            "samples": [["2025-06-15T15:06:43.000000+00:00", 1], ["2025-06-15T15:06:45.000000+00:00", 2]],
        },
    ]
    assert found["delivery"] == {
        "sent": False,
        "accepted": 16,
        "delivered": 0,
        "pending": 16,
        "dropped": 0,
        "dead_lettered": 0,
        "by_kind": found["delivery"]["by_kind"],
    }
    assert found["progress"] == [
        {
            "category": "epochs",
            "current": 2,
            "total": 4,
            "status": "open",
            "started": "2025-06-15T15:06:42.000000+00:00",
            "last": "2025-06-15T15:06:44.000000+00:00",
        }
    ]
    assert found["timeline"][0]["data"] == {"count": 1000, "api_key": "[REDACTED]"}
    assert [span["name"] for span in found["spans"]] == ["train", "load", "fit", "epochs"]
    assert len(found["exceptions"]) == 2


def test_nothing_secret_and_no_control_character_is_printed(cli: Cli, run: Path) -> None:
    printed = cli("show").out + cli("show", "--json").out

    assert "hunter2" not in printed
    assert "\x1b" not in printed


@pytest.mark.parametrize("key", ["message", "name", "key", "spans", "data", "status", "processes"])
def test_a_key_that_names_a_secret_hides_what_the_run_calls_so_and_nothing_of_the_document(
    key: str, cli: Cli, journal_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The document's own keys may be called the same."""
    write_journal(
        journal_dir,
        identity(),
        rec.Metrics(at(1), b"", b"", "train", {"loss": 1}),
        rec.Event(at(3), b"", b"", "set up", "info", {key: "hidden"}),
        rec.RunEnded(at(4), "failed", "it failed"),
    )
    plain = json.loads(cli("show", "--json").out)
    monkeypatch.setenv("SYNAPSE_OTEL_REDACTION_KEYS", json.dumps([key]))

    shown = json.loads(cli("show", "--json").out)

    assert shown["timeline"][0].pop("data") == {key: "[REDACTED]"}
    assert plain["timeline"][0].pop("data") == {key: "hidden"}
    assert shown == plain


def test_a_run_of_another_process_is_shown_while_it_runs(cli: Cli, journal_dir: Path) -> None:
    began = time.time_ns()
    journal = Journal(journal_dir, identity("live", started=began))
    journal.append(rec.RunStarted(began))
    journal.append(rec.Progress(began + SECOND, b"", b"", "epochs", 1, 2))

    lines = cli("show").out.splitlines()
    journal.close()

    assert lines[0].startswith("train  · running  ")
    assert any(line.startswith("  last record  ") for line in lines)
    assert lines[-2] == "Delivery  2 records kept here, nothing was sent"


def test_a_crashed_run_is_shown_as_far_as_it_came(cli: Cli, journal_dir: Path) -> None:
    a_run(journal_dir, status="crashed")

    assert cli("show").out.splitlines()[0] == "train  ✖ crashed  2.0 s"


def test_several_processes_are_one_run(cli: Cli, journal_dir: Path) -> None:
    write_journal(
        journal_dir,
        identity(),
        rec.Metrics(at(1), b"", b"", "training", {"loss": 1.0}),
        rec.RunEnded(at(10), "completed"),
    )
    worker = identity(
        journal_id="f" * 32,
        span_id=b"W" * 8,
        parent_span_id=b"\1" * 8,
        started=at(1),
        worker=True,
        resource={"process.pid": 102, "host.name": "box"},
    )
    write_journal(journal_dir, worker, rec.Metrics(at(2), b"", b"", "training", {"loss": 2.0}))

    out = cli("show").out

    assert "    pid 101 on box         ✔ completed  10.0 s\n    worker pid 102 on box  ✖ crashed     1.0 s\n" in out
    assert "  training/loss (101)  ▄" in out
    assert "  training/loss (102)  ▄" in out


def test_a_bar_of_a_crashed_worker_does_not_look_as_if_it_went_on(
    cli: Cli, journal_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a run goes on, each bar has the colour of its own process."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    report = rec.Progress(START + SECOND, b"", b"", "epochs", 1, 2)
    journal = Journal(journal_dir, identity())
    journal.append(report)
    worker = identity(journal_id="f" * 32, span_id=b"W" * 8, parent_span_id=b"\1" * 8, worker=True)
    write_journal(journal_dir, worker, report)

    bars = [line for line in cli("show").out.splitlines() if "50 %" in line]
    journal.close()

    cyan, yellow = "\x1b[36m━", "\x1b[33m━"
    assert [(cyan in bar, yellow in bar) for bar in bars] == [(True, False), (False, True)]


def test_steps_that_failed_are_shown_however_many_come_before_them(cli: Cli, journal_dir: Path) -> None:
    """Of many spans the first ones are shown, and those that failed."""
    records: list[rec.Record] = []
    for number in range(1, 101):
        span, status = number.to_bytes(8, "big"), "failed" if number in {30, 90} else "completed"
        records += [rec.StepStarted(at(number), span, b"", f"step-{number}"), rec.StepEnded(at(number), span, status)]
    write_journal(journal_dir, identity(), *records, rec.RunEnded(at(101), "completed"))

    lines = cli("show").out.split("Spans\n")[1].split("\n\n")[0].splitlines()

    assert [line.split()[0] for line in lines] == ["train", *(f"step-{number}" for number in [*range(1, 60), 90]), "…"]
    assert lines[-1] == "  … and 40 more: --all"


def test_the_timeline_ends_with_the_last_fifty_or_has_all(cli: Cli, journal_dir: Path) -> None:
    messages = [rec.Message(at(number), b"", b"", f"message {number}", "info") for number in range(80)]
    write_journal(journal_dir, identity(), *messages)

    short, whole = cli("show").out, cli("show", "--all").out

    assert "Timeline  the last 50 of 80, the others with --all\n  15:07:10.000  ℹ message 30\n" in short
    assert whole.count("ℹ message") == 80


def test_what_was_delivered_and_what_was_not_is_said(cli: Cli, journal_dir: Path) -> None:
    run = a_run(journal_dir)
    journal = only_journal(run)
    half = JournalReader(journal).read(Cursor().position, 2).after
    for signal in ("traces", "metrics", "logs"):
        CursorFile(journal.cursor(signal)).save(
            Cursor(position=half, passed={"run": 1, "progress": 1}, dead_lettered={"progress": 1})
        )

    assert cli("show").out.splitlines()[-3:-1] == [
        "Delivery  1 of 4 records delivered, 2 pending, 1 refused by the collector: synapse-otel push job-1",
        "  what was refused can be sent again: synapse-otel push --dead-letters job-1",
    ]


def test_a_damaged_record_is_counted_and_the_rest_is_shown(cli: Cli, journal_dir: Path) -> None:
    segment = only_journal(a_run(journal_dir)).segment(1)
    segment.write_bytes(segment.read_bytes().replace(b"half way", b"half\0way"))

    out = cli("show").out

    assert out.startswith("train  ✔ completed  10.0 s")
    assert "⚠ 1 record of process 101 could not be read\n" in out


def test_one_unreadable_journal_of_several_is_said_and_the_others_shown(cli: Cli, run: Path) -> None:
    (run / ("e" * 32)).mkdir()

    assert f"⚠ {'e' * 32}: the journal has no segment\n" in cli("show").out


def test_a_run_that_cannot_be_read_says_why(cli: Cli, journal_dir: Path) -> None:
    run = a_run(journal_dir)
    only_journal(run).segment(1).write_bytes(b"garbage" * 10)

    result = cli("show", "job-1")

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"error: {run.name} cannot be read:\n")


# -- which run


def test_a_run_is_called_by_its_job_the_beginning_of_it_its_directory_or_its_trace(cli: Cli, journal_dir: Path) -> None:
    run = a_run(journal_dir, "train/7 ä")
    a_run(journal_dir, "other", number=2)

    for name in ("train/7 ä", "tra", run.name, "01" * 16, "0101"):
        assert "  job      train/7 ä\n" in cli("show", name).out


def test_without_a_name_it_is_the_latest(cli: Cli, journal_dir: Path) -> None:
    a_run(journal_dir, "late", number=2, started=START + SECOND)
    a_run(journal_dir, "early")

    assert "  job      late\n" in cli("show").out


def test_of_several_runs_of_a_job_it_is_the_latest_and_the_others_are_named(cli: Cli, journal_dir: Path) -> None:
    old = a_run(journal_dir, "job-1")
    a_run(journal_dir, "job-1", number=2, started=START + SECOND)

    result = cli("show", "job-1")

    assert "  started  2025-06-15 15:06:41\n" in result.out
    assert result.err == f"an older run:\n  synapse-otel show {old.name}\n"


def test_an_ambiguous_name_lists_what_it_may_be(cli: Cli, journal_dir: Path) -> None:
    runs = [a_run(journal_dir, f"job-{number}", number=number) for number in (1, 2)]

    result = cli("show", "job")

    assert result.code == 2
    assert result.err == (
        "error: 'job' is the beginning of 2 jobs, which one?\n"
        f"  job-1  started 2025-06-15 15:06:40  ({runs[0].name})\n"
        f"  job-2  started 2025-06-15 15:06:40  ({runs[1].name})\n"
    )


def test_an_unknown_name_lists_what_there_is(cli: Cli, journal_dir: Path) -> None:
    run = a_run(journal_dir)

    assert cli("show", "nope") == Result(
        2,
        "",
        f"error: no run is called 'nope' in {journal_dir}; the latest are:\n"
        f"  job-1  started 2025-06-15 15:06:40  ({run.name})\n",
    )


def test_without_runs_it_says_so(cli: Cli, journal_dir: Path) -> None:
    assert cli("show") == Result(2, "", f"error: there are no runs in {journal_dir}\n")
