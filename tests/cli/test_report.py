"""`synapse-otel report`: the file and what is in it; tests/backends opens it in a browser."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.kit import SECOND, START, Cli, Result, a_run, identity, write_journal
from synapse_otel.cli.html.charts import ALL_POINTS, MOST_CURVES, charts, thinned
from synapse_otel.cli.html.document import MOST_BARS, MOST_EXCEPTIONS, document
from synapse_otel.cli.html.messages import MOST_CHARACTERS, MOST_LINES, messages
from synapse_otel.cli.html.page import page
from synapse_otel.cli.html.spans import MOST_SPANS, spans
from synapse_otel.cli.view import ExceptionView, LineView, RunView, SeriesView
from synapse_otel.cli.view_loader import load_view
from synapse_otel.journal import records as rec
from synapse_otel.journal.writer import Journal
from synapse_otel.projection.redaction import Redactor
from synapse_otel.secret_keys import SecretKeys

FIT = b"F" * 8
ODD = [math.nan, math.inf, -math.inf]
NUMBERS = st.floats(width=32) | st.integers(-1000, 1000) | st.sampled_from(ODD)


def at(seconds: float) -> int:
    return START + int(seconds * SECOND)


def view_of(run: Path) -> RunView:
    return load_view(run, Redactor())


class Tags(HTMLParser):
    """The tags of a page with their attributes, and what its scripts are."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", {}))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == ("script", {}):
            self.scripts.append(data)


# -- the command


def test_the_latest_run_is_written_under_its_own_name(
    cli: Cli, journal_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without arguments it is the latest run, in the current folder; the path and the size are printed."""
    monkeypatch.chdir(tmp_path)
    a_run(journal_dir, "job-0", number=2, started=START - SECOND)
    a_run(journal_dir, "job-1")

    printed = cli("report")

    written = tmp_path / "job-1~0101010101010101.html"
    size = f"{written.stat().st_size / 1000:.1f} kB"
    assert printed == Result(0, f"job-1~0101010101010101.html  {size}\n", "")
    assert "<title>train ✔ completed</title>" in written.read_text(encoding="utf-8")


def test_the_file_that_is_named_is_replaced(cli: Cli, journal_dir: Path, tmp_path: Path) -> None:
    """-o says where; what was there is gone."""
    a_run(journal_dir)
    path = tmp_path / "run.html"
    path.write_text("before")

    assert cli("report", "job-1", "-o", str(path)).code == 0
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_file_is_its_owners_only(cli: Cli, journal_dir: Path, tmp_path: Path) -> None:
    """As the journals are, also where anybody could read what was there; nothing else is left in the folder."""
    a_run(journal_dir)
    path = tmp_path / "report" / "run.html"
    path.parent.mkdir()
    path.write_text("before")
    path.chmod(0o644)

    assert cli("report", "-o", str(path)).code == 0
    assert [(found, found.stat().st_mode & 0o777) for found in path.parent.iterdir()] == [(path, 0o600)]


def test_a_link_stays_one_and_a_pipe_is_written_to(
    cli: Cli, command: Callable[..., Result], journal_dir: Path, tmp_path: Path
) -> None:
    """What replaces a file is put where the link points; what is no file is not replaced."""
    a_run(journal_dir)
    link = tmp_path / "link.html"
    link.symlink_to("run.html")

    assert cli("report", "-o", str(link)).code == 0
    assert link.readlink() == Path("run.html")
    assert (tmp_path / "run.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert command("report", "-o", "/dev/stdout").out.startswith("<!doctype html>")


def test_a_full_disk_leaves_the_report_that_was_there(journal_dir: Path, tmp_path: Path) -> None:
    """The new one is written beside it first; what there is of it is removed."""
    a_run(journal_dir)
    path = tmp_path / "report" / "run.html"
    path.parent.mkdir()
    path.write_text("before")
    program = (
        "import resource, sys; from synapse_otel.cli import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); main(['report', '-o', sys.argv[1]])"
    )

    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)

    expected = (1, "", f"error: {path} cannot be written: File too large\n")
    assert (done.returncode, done.stdout, done.stderr) == expected
    assert [(found, found.read_text()) for found in path.parent.iterdir()] == [(path, "before")]


def test_of_several_runs_of_a_job_it_is_the_latest_and_the_others_are_named(
    cli: Cli, journal_dir: Path, tmp_path: Path
) -> None:
    """They are named on standard error, as `show` does it."""
    old = a_run(journal_dir, "job-1")
    a_run(journal_dir, "job-1", number=2, started=START + SECOND)

    printed = cli("report", "job-1", "-o", str(tmp_path / "run.html"))

    assert printed.err == f"an older run:\n  synapse-otel report {old.name}\n"
    assert "2025-06-15 15:06:41" in (tmp_path / "run.html").read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_is_an_error(cli: Cli, journal_dir: Path, tmp_path: Path) -> None:
    """The message names the file and the reason."""
    a_run(journal_dir)
    path = tmp_path / "missing" / "run.html"

    expected = f"error: {path} cannot be written: No such file or directory\n"
    assert cli("report", "-o", str(path)) == Result(1, "", expected)


def test_a_run_that_is_not_there_is_wrong_usage(cli: Cli, journal_dir: Path) -> None:
    """It fails as `show` does."""
    assert cli("report", "job-1") == Result(2, "", f"error: there are no runs in {journal_dir}\n")


@pytest.mark.parametrize("missing", ["jinja2", "plotly"])
def test_without_its_libraries_it_says_what_to_install(missing: str, journal_dir: Path) -> None:
    """The other commands do without them."""
    a_run(journal_dir)
    program = f"import sys; sys.modules[{missing!r}] = None; from synapse_otel.cli import main; main(['report'])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the report is made with Jinja2 and Plotly, which are not installed (")
    assert done.stderr.endswith("): pip install 'synapse-otel[report]'\n")


def test_a_part_of_our_own_that_is_missing_is_not_taken_for_them(journal_dir: Path) -> None:
    """A broken installation is said to be what it is."""
    a_run(journal_dir)
    missing = "synapse_otel.cli.html.charts"
    program = f"import sys; sys.modules[{missing!r}] = None; from synapse_otel.cli import main; main(['report'])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.stderr.splitlines()[-1] == f"ModuleNotFoundError: import of {missing} halted; None in sys.modules"


# -- the file


def test_the_page_may_run_its_own_scripts_and_request_nothing(cli: Cli, journal_dir: Path, tmp_path: Path) -> None:
    """Its policy names the hash of each script; no tag refers to anything outside."""
    who = identity()
    write_journal(journal_dir, who, *(rec.Metrics(at(t), b"", b"", "train", {"loss": t}) for t in (1, 2)))
    cli("report", "-o", str(tmp_path / "run.html"))

    page = Tags((tmp_path / "run.html").read_text(encoding="utf-8"))

    policy = next(tag["content"] for _, tag in page.tags if tag.get("http-equiv") == "Content-Security-Policy")
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts]
    hashes = " ".join(f"'sha256-{digest}'" for digest in digests)
    assert len(digests) == 3
    assert policy == (
        f"default-src 'none'; script-src {hashes}; "
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert not [tag for tag in page.tags if {"src", "href", "srcset", "action"} & tag[1].keys()]
    assert not [name for _, tag in page.tags for name in tag if name.startswith("on")]


def test_a_run_without_metrics_does_without_the_library_of_charts(cli: Cli, journal_dir: Path, tmp_path: Path) -> None:
    """Its page is small."""
    a_run(journal_dir)
    cli("report", "-o", str(tmp_path / "run.html"))

    assert (tmp_path / "run.html").stat().st_size < 50_000


# -- what is shown


def test_a_failed_run_is_shown_with_all_that_there_is(journal_dir: Path) -> None:
    """Header, failure, spans, progress, charts, messages and delivery; nothing secret in any of them."""
    run = write_journal(
        journal_dir,
        identity(),
        rec.ActionNamed(at(0), "training"),
        rec.StepStarted(at(0), FIT, b"", "fit"),
        rec.Progress(at(0), FIT, b"", "epochs", 1, 4),
        rec.Metrics(at(3), FIT, b"", "training", {"loss": 2.5}),
        rec.Progress(at(4), FIT, b"", "epochs", 2, 4),
        rec.Metrics(at(5), FIT, b"", "training", {"loss": math.nan}),
        rec.Message(at(6), FIT, b"", "memory is\n\x1b[31mlow", "warning"),
        rec.DevEvent(at(7), FIT, b"", "cache", {"hits": 3, "api_key": "abc"}),
        rec.ExceptionRecorded(at(8), FIT, b"", "ValueError", "token=hunter2hunter2", "token=hunter2hunter2\n"),
        rec.StepEnded(at(8), FIT, "failed", "token=hunter2hunter2"),
        rec.RunEnded(at(8), "failed", "token=hunter2hunter2"),
    ).run

    assert document(view_of(run), Redactor(), at(60)) == {
        "run": {
            "name": "train",
            "status": "failed",
            "sign": "✖",
            "took": "8.0 s",
            "facts": [
                ["action", "training"],
                ["job", "job-1"],
                ["trace", "01" * 16],
                ["started", "2025-06-15 15:06:40"],
                ["ended", "2025-06-15 15:06:48"],
                ["process", "pid 101 on box"],
            ],
            "made": "2025-06-15 15:07:40",
            "zone": "UTC+00:00",
        },
        "failure": {
            "message": "token=[REDACTED]",
            "exceptions": [{"where": "fit", "at": "15:06:48.000", "stacktrace": "token=[REDACTED]"}],
            "hidden": 0,
        },
        "problems": [],
        "processes": [
            {
                "number": 0,
                "name": "pid 101 on box",
                "short": "pid 101",
                "status": "failed",
                "sign": "✖",
                "took": "8.0 s",
                "records": "12 records",
                "has_curves": True,
            }
        ],
        "spans": {
            "rows": [
                span("train", "run", 0, "token=[REDACTED]") | {"process": 0},
                span("fit", "step", 1, "ValueError: token=[REDACTED]"),
                span("epochs", "phase", 2, ""),
            ],
            "ticks": ["0", "2.0 s", "4.0 s", "6.0 s", "8.0 s"],
            "hidden": 0,
        },
        "progress": {
            "rows": [
                {
                    "category": "epochs",
                    "process": 0,
                    "status": "open",
                    "percent": 50.0,
                    "amount": "2 / 4",
                    "took": "4.0 s",
                    "left": "",
                }
            ],
            "hidden": 0,
        },
        "charts": {
            "rows": [
                {
                    "number": 0,
                    "category": "training",
                    "key": "loss",
                    "curves": [
                        {
                            "process": 0,
                            "times": packed((START + 3 * SECOND) / 1e6, (START + 5 * SECOND) / 1e6),
                            "values": packed(2.5, math.nan),
                            "bucket": 1,
                            "samples": "2",
                            "odd": "1",
                            "first": "2.5",
                            "last": "NaN",
                            "min": "2.5",
                            "max": "2.5",
                            "positive": True,
                        }
                    ],
                }
            ],
            "hidden": "",
            "thinned": "",
        },
        "messages": {
            "rows": [
                row(6, "warning", "message", "memory is\n\\x1b[31mlow"),
                row(7, "debug", "dev_event", "cache")
                | {"pairs": "hits=3 api_key=[REDACTED]", "data": '{\n  "hits": 3,\n  "api_key": "[REDACTED]"\n}'},
                row(8, "error", "exception", "ValueError: token=[REDACTED]"),
            ],
            "levels": [{"name": "warning", "count": "1"}, {"name": "error", "count": "1"}],
            "dev_events": 1,
            "hidden": 0,
        },
        "delivery": {
            "state": "12 records kept on the machine, nothing was sent",
            "lost": "",
            "push": "synapse-otel push job-1",
            "retry": "",
        },
    }


def span(name: str, kind: str, depth: int, message: str) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "status": "error",
        "message": message,
        "depth": depth,
        "left": 0.0,
        "width": 100.0,
        "took": "8.0 s",
        "at": "15:06:40.000 to 15:06:48.000",
    }


def row(second: int, level: str, kind: str, text: str) -> dict[str, Any]:
    return {
        "time": f"15:06:{40 + second}.000",
        "level": level,
        "kind": kind,
        "text": text,
        "process": 0,
        "step": "fit",
    }


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}d", *numbers)).decode()


def test_a_run_that_goes_on_is_shown_with_the_time_that_it_still_takes(journal_dir: Path) -> None:
    """Each open category has its rest at the rate since its first report."""
    journal = Journal(journal_dir, identity())
    for record in (
        rec.RunStarted(START),
        rec.Progress(at(0), b"", b"", "epochs", 0, 10),
        rec.Progress(at(8), b"", b"", "epochs", 4, 10),
    ):
        journal.append(record)
    assert journal.path is not None
    shown = document(view_of(journal.path.run), Redactor(), at(10))
    journal.close()

    assert (shown["run"]["status"], shown["run"]["took"], shown["failure"]) == ("running", "10.0 s", None)
    assert shown["run"]["facts"][-2:] == [["last record", "2.0 s ago"], ["process", "pid 101 on box"]]
    assert [(one["status"], one["percent"], one["left"]) for one in shown["progress"]["rows"]] == [
        ("running", 40.0, "12.0 s left")
    ]
    assert [row["status"] for row in shown["spans"]["rows"]] == ["running", "running"]
    assert (shown["delivery"]["push"], shown["delivery"]["retry"]) == ("", "")


def test_a_crashed_run_says_when_it_was_last_heard_of(journal_dir: Path) -> None:
    """There is no exception to show."""
    shown = document(view_of(a_run(journal_dir, status="crashed")), Redactor(), at(60))

    silent = "The process ended without a word at 15:06:42.000, when its last record was written."
    assert shown["failure"] == {"message": silent, "exceptions": [], "hidden": 0}


def test_a_bar_goes_on_where_its_own_process_does(journal_dir: Path) -> None:
    """A crashed worker of a living run reports no more; a living worker of a run that ended still does."""
    run, worker = identity(trace_id=b"T" * 16), identity(number=2, trace_id=b"T" * 16, worker=True)
    steps = [rec.Progress(at(t), b"", b"", "epochs", t, 10) for t in (0, 4)]
    living = Journal(journal_dir, run)
    for record in (rec.RunStarted(START), *steps):
        living.append(record)
    write_journal(journal_dir, worker, *steps)
    assert living.path is not None

    def bars() -> list[tuple[str, int, str, str]]:
        rows = document(view_of(living.path.run), Redactor(), at(5))["progress"]["rows"]
        return [(one["category"], one["process"], one["status"], one["left"]) for one in rows]

    crashed_worker = bars()
    living.close()
    shutil.rmtree(living.path.run)
    write_journal(journal_dir, run, *steps, rec.RunEnded(at(4), "failed"))
    living = Journal(journal_dir, worker)
    for record in (rec.RunStarted(START), *steps):
        living.append(record)
    living_worker = bars()
    living.close()

    assert crashed_worker == [("epochs", 0, "running", "6.0 s left"), ("epochs", 1, "open", "")]
    assert living_worker == [("epochs", 0, "open", ""), ("epochs", 1, "running", "6.0 s left")]


def test_numbers_in_data_are_shown_as_they_were_reported(journal_dir: Path) -> None:
    """Whole numbers beyond what a browser holds, whole numbers that were floats, and what JSON does not have."""
    data = {"seed": 2**53 + 1, "scale": 1.0, "rate": 0.123456789, "loss": math.nan, "text": "1.0"}
    run = write_journal(journal_dir, identity(), rec.Event(at(1), b"", b"", "set up", "info", data)).run

    (shown,) = document(view_of(run), Redactor(), at(60))["messages"]["rows"]

    assert shown["pairs"] == "seed=9007199254740993 scale=1.0 rate=0.1235 loss=NaN text=1.0"
    assert shown["data"] == (
        '{\n  "seed": 9007199254740993,\n  "scale": 1.0,\n  "rate": 0.123456789,\n  "loss": "NaN",\n  "text": "1.0"\n}'
    )


# -- what is not shown


def a_secret_run(root: Path, secret: str) -> Path:
    """Write a run of two processes that has a secret in everything there is a place for."""
    host = {"resource": {"process.pid": 7, "host.name": secret}}
    for number, worker in ((1, {}), (2, {"worker": True, "started": at(0.5)})):
        path = write_journal(
            root,
            identity(f"job {secret}", name=secret, number=number, trace_id=b"T" * 16, **host, **worker),
            rec.ActionNamed(at(0), f"action {secret}"),
            rec.StepStarted(at(1), FIT, b"", secret),
            *(rec.Metrics(at(t), FIT, b"", secret, {secret: t, "note": secret}) for t in (1, 2)),
            rec.Progress(at(2), FIT, b"", secret, 1, 2),
            rec.Message(at(3), FIT, b"", secret, "info"),
            rec.Message(at(3), FIT, b"", "level", secret),
            rec.Event(at(4), FIT, b"", secret, "info", {secret: [secret]}, secret, step=secret),
            rec.DevEvent(at(4), FIT, b"", secret, {"deep": {secret: secret}}),
            rec.ExceptionRecorded(at(5), FIT, b"", secret, secret, f"Traceback\n{secret}"),
            rec.StepEnded(at(5), FIT, "failed", secret),
            rec.RunEnded(at(6), "failed", secret),
        )
    return path.run


@pytest.mark.parametrize("secret", ["ghp_a1B2c3D4e5F6a1B2c3D4e5F6a1B2c3D4e5F6", "token=hunter2hunter2"])
def test_nothing_secret_is_in_the_page_nor_in_its_name(
    secret: str, cli: Cli, journal_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of all that comes from the run it is in."""
    monkeypatch.chdir(tmp_path)
    a_secret_run(journal_dir, secret)

    printed = cli("report")

    (written,) = tmp_path.glob("*.html")
    value = secret.removeprefix("token=")
    assert [value in text for text in (written.read_text(encoding="utf-8"), written.name, printed.out)] == [False] * 3


@pytest.mark.parametrize("key", ["message", "process", "rows", "spans", "run", "name", "key", "text", "data", "status"])
def test_a_key_that_names_a_secret_hides_what_the_run_calls_so_and_nothing_of_the_page(
    key: str, journal_dir: Path
) -> None:
    """The page's own keys may be called the same."""
    run = write_journal(
        journal_dir,
        identity(),
        rec.Metrics(at(1), b"", b"", "train", {"loss": 1}),
        rec.Progress(at(2), b"", b"", "epochs", 1, 2),
        rec.Event(at(3), b"", b"", "set up", "info", {key: "hidden"}),
        rec.RunEnded(at(4), "failed", "it failed"),
    ).run
    view = view_of(run)
    with_key = Redactor(is_secret=SecretKeys([key]))

    shown, plain = (document(view, redactor, at(60)) for redactor in (with_key, Redactor()))

    assert shown["messages"]["rows"].pop()["pairs"] == f"{key}=[REDACTED]"
    assert plain["messages"]["rows"].pop()["pairs"] == f"{key}=hidden"
    assert shown == plain
    assert "hidden" not in page(view, with_key, at(60)).rpartition('id="data">')[2].partition("</script>")[0]


def test_what_is_reported_by_several_processes_is_told_apart(journal_dir: Path) -> None:
    """Spans, progress, curves and messages have the number of their process."""
    for number in (1, 2, 3):
        who = identity(number=number, trace_id=b"T" * 16, worker=number > 1, started=at(number))
        run = write_journal(
            journal_dir,
            who if number == 1 else replace_parent(who),
            rec.Progress(at(4), b"", b"", "part", 1, 2),
            rec.Metrics(at(5), b"", b"", "train", {"loss": number}),
            rec.Message(at(6), b"", b"", f"message {number}", "info"),
            rec.RunEnded(at(10), "completed"),
        ).run

    shown = document(view_of(run), Redactor(), at(60))

    assert [process["name"] for process in shown["processes"]] == [
        "pid 101 on box",
        "worker pid 102 on box",
        "worker pid 103 on box",
    ]
    rows = shown["spans"]["rows"]
    assert [(row.get("process"), row["depth"], row["name"]) for row in rows] == [
        (0, 0, "train"),
        (1, 1, "train worker"),
        (None, 2, "part"),
        (2, 1, "train worker"),
        (None, 2, "part"),
        (None, 1, "part"),
    ]
    progress = [(one["category"], one["process"]) for one in shown["progress"]["rows"]]
    assert progress == [("part", 0), ("part", 1), ("part", 2)]
    curves = [(curve["process"], curve["last"]) for curve in shown["charts"]["rows"][0]["curves"]]
    assert curves == [(0, "1"), (1, "2"), (2, "3")]
    assert [(row["process"], row["text"]) for row in shown["messages"]["rows"]] == [
        (0, "message 1"),
        (1, "message 2"),
        (2, "message 3"),
    ]


def replace_parent(who: rec.Identity) -> rec.Identity:
    return rec.Identity(**{name: getattr(who, name) for name in who.__struct_fields__} | {"parent_span_id": b"\1" * 8})


# -- how much is shown


def test_the_last_lines_of_very_many_are_shown(journal_dir: Path) -> None:
    """How many were left out is said."""
    view = view_of(a_run(journal_dir))
    lines = tuple(
        LineView(at(0), "message", "info", str(number), process=view.processes[0].journal_id)
        for number in range(MOST_LINES + 2)
    )

    shown = messages(replace(view, timeline=lines, lines=len(lines)), Redactor())

    assert (len(shown["rows"]), shown["rows"][0]["text"], shown["hidden"]) == (MOST_LINES, "2", 2)


def test_the_last_lines_of_very_long_ones_are_shown(journal_dir: Path) -> None:
    """Altogether they have a bound; how many were left out is said."""
    view = view_of(a_run(journal_dir))
    long = "word " * (MOST_CHARACTERS // 20)
    lines = tuple(
        LineView(at(0), "event", "info", str(number), {"long": long}, process=view.processes[0].journal_id)
        for number in range(6)
    )

    shown = messages(replace(view, timeline=lines, lines=len(lines)), Redactor())

    assert ([row["text"] for row in shown["rows"]], shown["hidden"]) == (["3", "4", "5"], 3)


def test_the_last_of_very_many_exceptions_are_shown(journal_dir: Path) -> None:
    """Each once, where it came to rest; how many were left out is said."""
    view = view_of(a_run(journal_dir, status="failed"))
    found = [ExceptionView(at(n), "ValueError", str(n % 20_000), f"trace {n}") for n in range(40_000)]

    shown = document(replace(view, exceptions=tuple(found)), Redactor(), at(60))["failure"]

    last = [f"trace {n}" for n in range(40_000 - MOST_EXCEPTIONS, 40_000)]
    assert ([one["stacktrace"] for one in shown["exceptions"]], shown["hidden"]) == (last, 20_000 - MOST_EXCEPTIONS)


def test_the_last_of_very_many_bars_are_shown(journal_dir: Path) -> None:
    """How many were left out is said."""
    view = view_of(a_run(journal_dir))
    bars = tuple(replace(view.progress[0], category=str(number)) for number in range(MOST_BARS + 2))

    shown = document(replace(view, progress=bars), Redactor(), at(60))["progress"]

    assert (len(shown["rows"]), shown["rows"][0]["category"], shown["hidden"]) == (MOST_BARS, "2", 2)


def test_very_many_curves_have_altogether_a_bound(journal_dir: Path) -> None:
    """Long ones are thinned where there are many, short ones are not; how many were left out or thinned is said."""
    view = view_of(a_run(journal_dir))
    lengths = [300] * (MOST_CURVES - 1) + [5] + [300] * 3
    many = tuple(series_of(view, number, length) for number, length in enumerate(lengths))

    shown = charts(replace(view, metrics=many), Redactor())
    drawn = [len(base64.b64decode(curve["values"])) // 8 for row in shown["rows"] for curve in row["curves"]]

    assert (len(drawn), drawn[-1]) == (MOST_CURVES, 5)
    assert (shown["hidden"], shown["thinned"]) == ("3 curves", f"{MOST_CURVES - 1} curves")
    assert 0.9 * ALL_POINTS < sum(drawn) <= ALL_POINTS


def test_the_first_spans_of_very_many_are_shown_and_those_that_failed(journal_dir: Path) -> None:
    """How many were left out is said."""
    view = view_of(a_run(journal_dir))
    steps = [replace(view.spans[0], kind="step", name=str(number), span_id=f"{number:016x}") for number in range(1200)]
    steps[1100] = replace(steps[1100], status="error")
    many = replace(view, spans=tuple(steps))

    shown = spans(many)

    assert [row["name"] for row in shown["rows"]] == [*map(str, range(MOST_SPANS)), "1100"]
    assert shown["hidden"] == 199


@given(st.lists(NUMBERS, max_size=300), st.integers(7, 50))
def test_a_thinned_curve_keeps_its_ends_its_extremes_and_what_is_no_number(values: list[float], most: int) -> None:
    """Whatever the samples are; what is kept is some of them, in order, and no more than were asked for."""
    kept, bucket = thinned(values, most)
    shown = [values[at] for at in kept]
    finite = [value for value in values if math.isfinite(value)]

    assert kept == sorted(set(kept))
    assert [kept[0], kept[-1]] == [0, len(values) - 1] if values else kept == []
    assert {str(value) for value in values if not math.isfinite(value)} == {
        str(value) for value in shown if not math.isfinite(value)
    }
    assert {pick(finite) for pick in (min, max) if finite} <= set(shown)
    assert (bucket == 1) == (len(values) <= most)
    assert len(kept) <= most


def series_of(view: RunView, number: int, length: int) -> SeriesView:
    made = SeriesView("train", str(number), view.processes[0].journal_id)
    for n in range(length):
        made.add(at(n), [*ODD, 1, 2][n % 5])
    return made


def test_the_page_says_what_is_left_out(journal_dir: Path) -> None:
    """And which command has it."""
    view = view_of(a_run(journal_dir, status="failed"))
    much = replace(
        view,
        progress=view.progress * (MOST_BARS + 1),
        metrics=tuple(series_of(view, n, 10_100 if n == 0 else 1) for n in range(MOST_CURVES + 1)),
        spans=(replace(view.spans[0], status="ok"),) * (MOST_SPANS + 1),
        exceptions=tuple(ExceptionView(at(n), "ValueError", str(n), "") for n in range(MOST_EXCEPTIONS + 1)),
        lines=2,
    )

    shown = page(much, Redactor(), at(60))

    hints = [" ".join(hint.split()) for hint in re.findall(r'<p class="hint">(.*?)</p>', shown, re.DOTALL)]
    assert hints == [
        "The last 10 of 11 exceptions; <code>synapse-otel show --all</code> has all.",
        "The last 1,000 of 1,001; <code>synapse-otel show</code> has all.",
        "and 1 more: <code>synapse-otel show --all</code>",
        "Left out: 1 curve. Thinned: 1 curve. <code>synapse-otel show --json</code> has all.",
        "Drawn are the least and the greatest of every 6 samples.",
        "The last 1 of 2; <code>synapse-otel show --all</code> has all.",
    ]


def test_no_file_of_the_page_mentions_another_host(journal_dir: Path) -> None:
    """Templates, styles and scripts of ours have no URL in them."""
    folder = Path(sys.modules[document.__module__].__file__ or "").parent / "templates"
    found = {path.name: re.findall(r"\w+://\S+", path.read_text(encoding="utf-8")) for path in folder.iterdir()}

    assert found == {"page.html": [], "page.css": [], "charts.js": [], "messages.js": []}
