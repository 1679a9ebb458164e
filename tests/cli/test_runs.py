from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.kit import SECOND, START, Cli, Result, a_run, identity, only_journal, write_journal
from synapse_otel.journal import format as fmt
from synapse_otel.journal import records as rec
from synapse_otel.journal.cursor import Cursor, CursorFile
from synapse_otel.journal.reader import JournalReader
from synapse_otel.journal.writer import Journal


@pytest.fixture
def live(journal_dir: Path) -> Iterator[Journal]:
    journal = Journal(journal_dir, identity("live-job", number=9, started=time.time_ns()))
    journal.append(rec.RunStarted(journal.identity.started))
    yield journal
    journal.close()


def deliver(run: Path, records: int | None = None, **tally: object) -> None:
    """Note in the cursors of all signals that a run was delivered."""
    journal = only_journal(run)
    end = JournalReader(journal).end()
    for signal in ("traces", "metrics", "logs"):
        position = end if records is None else JournalReader(journal).read(Cursor().position, records).after
        CursorFile(journal.cursor(signal)).save(Cursor(position=position, **tally))  # type: ignore[arg-type]  # values by name


def test_runs_are_listed_newest_first_with_what_became_of_them(cli: Cli, journal_dir: Path) -> None:
    a_run(journal_dir, "job-kept")
    deliver(a_run(journal_dir, "job-sent", number=2, started=START + SECOND))
    deliver(a_run(journal_dir, "job-half", status="failed", number=3, started=START + 2 * SECOND), 2)
    deliver(
        a_run(journal_dir, "job-lost", status="crashed", number=4, started=START + 3 * SECOND),
        dead_lettered={"message": 2},
        dropped={"dev_event": 34},
    )

    assert cli("runs") == Result(
        0,
        "job       run    status       started                took  progress    records  delivery\n"
        "job-lost  train  ✖ crashed    2025-06-15 15:06:43   2.0 s  train 50 %        3  dead letters 2, dropped 34\n"
        "job-half  train  ✖ failed     2025-06-15 15:06:42  10.0 s  train 50 %        4  pending 2\n"
        "job-sent  train  ✔ completed  2025-06-15 15:06:41  10.0 s  train 50 %        4  delivered\n"
        "job-kept  train  ✔ completed  2025-06-15 15:06:40  10.0 s  train 50 %        4  kept\n"
        "✖ 2 dead letters, to send again: synapse-otel push --dead-letters\n"
        "✖ 34 records dropped, and why: synapse-otel doctor\n",
        "",
    )


def test_a_run_that_lives_is_running(cli: Cli, live: Journal) -> None:
    live.append(rec.ActionNamed(live.identity.started, "training"))

    line = cli("runs").out.splitlines()[1]

    assert line.split()[:5] == ["live-job", "train", "(training)", "·", "running"]


def test_without_a_limit_twenty_are_shown_and_the_others_counted(cli: Cli, journal_dir: Path) -> None:
    for number in range(1, 23):
        a_run(journal_dir, f"job-{number}", number=number, started=START + number * SECOND)

    lines = cli("runs").out.splitlines()

    assert len(lines) == 1 + 20 + 1
    assert lines[-1] == "… and 2 older: --limit 0"
    assert len(cli("runs", "--limit", "0").out.splitlines()) == 1 + 22
    assert len(cli("runs", "--limit", "3").out.splitlines()) == 1 + 3 + 1
    assert len(json.loads(cli("runs", "--json").out)) == 22
    assert len(json.loads(cli("runs", "--json", "--limit", "2").out)) == 2


def test_json_has_what_the_table_has(cli: Cli, journal_dir: Path) -> None:
    run = a_run(journal_dir)

    assert json.loads(cli("runs", "--json").out) == [
        {
            "job_id": "job-1",
            "name": "train",
            "action": None,
            "status": "completed",
            "started": "2025-06-15T15:06:40.000000+00:00",
            "duration_seconds": 10.0,
            "progress": {"category": "train", "current": 1, "total": 2},
            "processes": 1,
            "records": 4,
            "delivery": {"sent": False, "pending": 4, "dead_letters": 0, "dropped": 0},
            "directory": str(run),
            "trace_id": "01" * 16,
            "problems": [],
        }
    ]


def test_patterns_of_secret_keys_leave_our_own_keys_alone(
    cli: Cli, journal_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(journal_dir)
    monkeypatch.setenv("SYNAPSE_OTEL_REDACTION_KEYS", '["status", "name"]')

    (run,) = json.loads(cli("runs", "--json").out)

    assert (run["status"], run["name"]) == ("completed", "train")


def test_no_runs_are_no_error(cli: Cli, journal_dir: Path) -> None:
    assert cli("runs") == Result(0, f"no runs in {journal_dir}\n", "")
    assert json.loads(cli("runs", "--json").out) == []


def test_what_cannot_be_read_is_listed_with_the_reason(cli: Cli, journal_dir: Path) -> None:
    a_run(journal_dir)
    newer = only_journal(a_run(journal_dir, "from-the-future", number=2)).segment(1)
    header = newer.read_bytes()
    damaged = only_journal(a_run(journal_dir, "damaged", number=3)).segment(1)
    damaged.write_bytes(b"garbage" * 10)
    (journal_dir / "odd directory" / "journal").mkdir(parents=True)
    newer.write_bytes(_of_version(header, 99))

    result = cli("runs")

    assert result.code == 0
    assert sum("⚠ unreadable" in line for line in result.out.splitlines()) == 3
    assert "the journal has format version 99, this synapse-otel reads up to" in result.out
    assert "expected the magic" in result.out
    assert "odd directory: the journal is empty" in result.out
    assert len(json.loads(cli("runs", "--json").out)) == 4


def test_a_torn_tail_is_no_record(cli: Cli, journal_dir: Path) -> None:
    segment = only_journal(a_run(journal_dir, status="crashed")).segment(1)
    data = segment.read_bytes()
    start = fmt.unpack_header(data, "it")[1]
    *_, last, _ = fmt.frames(data[start:])  # behind it stands what closed the segment
    segment.write_bytes(data[: start + last.end - 3])

    (run,) = json.loads(cli("runs", "--json").out)

    assert (run["records"], run["status"]) == (2, "crashed")


def test_the_progress_is_found_before_the_record_that_closed_a_crash(cli: Cli, journal_dir: Path) -> None:
    from synapse_otel.journal.recovery import close_crashed

    close_crashed(only_journal(a_run(journal_dir, status="crashed")))

    (run,) = json.loads(cli("runs", "--json").out)

    assert (run["status"], run["records"]) == ("crashed", 4)
    assert run["progress"] == {"category": "train", "current": 1, "total": 2}


def test_what_was_delivered_but_for_its_dead_letters_is_listed(cli: Cli, journal_dir: Path) -> None:
    run = a_run(journal_dir)
    deliver(run, dead_lettered={"message": 1})
    only_journal(run).segment(1).unlink()

    assert cli("runs").out.splitlines()[1].split() == ["job-1", *["–"] * 6, "dead", "letters", "1"]


def test_the_processes_of_a_run_are_counted_together(cli: Cli, journal_dir: Path) -> None:
    write_journal(journal_dir, identity(), rec.RunEnded(START + SECOND, "completed"))
    write_journal(journal_dir, identity(journal_id="f" * 32, started=START - SECOND, worker=True))

    (run,) = json.loads(cli("runs", "--json").out)

    assert (run["processes"], run["records"], run["status"]) == (2, 3, "completed")


def test_names_from_a_run_can_not_play_tricks(cli: Cli, journal_dir: Path) -> None:
    write_journal(journal_dir, identity("evil\x1b]0;title\x07", name="[red]password=hunter2[/]"))

    out = cli("runs").out

    assert "evil\\x1b]0;title\\x07" in out
    assert "[red]password=[REDACTED]" in out


def test_a_pipe_gets_no_colours_and_no_wrapped_lines(command: Cli, journal_dir: Path) -> None:
    a_run(journal_dir, "a-job-with-quite-a-long-name" * 2)

    result = command("runs", TERM="xterm-256color")

    assert "\x1b" not in result.out
    assert len(result.out.splitlines()) == 2


def _of_version(segment: bytes, version: int) -> bytes:
    """The same segment as a newer package would write it: the checksum covers the version."""
    from zlib import crc32

    from synapse_otel.journal import format as fmt

    changed = bytearray(segment)
    changed[8:10] = version.to_bytes(2, "little")
    size = int.from_bytes(changed[12:16], "little")
    body = changed[fmt.HEADER_PREFIX : fmt.HEADER_PREFIX + size]
    changed[16:20] = crc32(body, crc32(changed[:16])).to_bytes(4, "little")
    return bytes(changed)


def test_the_directory_comes_from_the_environment(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNAPSE_OTEL_JOURNAL_DIR", str(tmp_path / "elsewhere"))

    assert cli("runs").out == f"no runs in {tmp_path / 'elsewhere'}\n"
    assert not os.path.exists(tmp_path / "elsewhere")


def test_a_wrong_setting_is_bad_usage(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNAPSE_OTEL_QUOTA_DAYS", "-1")

    assert cli("runs") == Result(2, "", "error: SYNAPSE_OTEL_QUOTA_DAYS = '-1': Input should be greater than 0\n")
