"""`synapse-otel report`: the file and what is in it; tests/backends opens it in a browser."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.kit import SECOND, START, Cli, Result, a_run, identity, write_journal
from synapse_otel.cli.html.charts import thinned
from synapse_otel.cli.html.document import document
from synapse_otel.cli.html.messages import MOST_LINES, messages
from synapse_otel.cli.html.owners import Owners
from synapse_otel.cli.html.spans import MOST_SPANS, spans
from synapse_otel.cli.view import LineView, RunView
from synapse_otel.cli.view_loader import load_view
from synapse_otel.journal import records as rec
from synapse_otel.journal.writer import Journal
from synapse_otel.projection.redaction import Redactor

FIT = b"F" * 8
NUMBERS = st.floats(width=32) | st.integers(-1000, 1000)


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
                "records": "12",
                "has_curves": True,
            }
        ],
        "spans": {
            "rows": [
                span("train", "run", 0, "token=[REDACTED]"),
                span("fit", "step", 1, "ValueError: token=[REDACTED]"),
                span("epochs", "phase", 2, ""),
            ],
            "ticks": ["0", "2.0 s", "4.0 s", "6.0 s", "8.0 s"],
            "hidden": 0,
        },
        "progress": [
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
        "charts": [
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
        "messages": {
            "rows": [
                row(6, "warning", "message", "memory is\n\\x1b[31mlow"),
                row(7, "debug", "dev_event", "cache") | {"data": {"hits": 3, "api_key": "[REDACTED]"}},
                row(8, "error", "exception", "ValueError: token=[REDACTED]"),
            ],
            "levels": [{"name": "warning", "count": "1"}, {"name": "error", "count": "1"}],
            "dev_events": 1,
            "hidden": 0,
        },
        "delivery": {
            "state": "12 records kept on the machine, nothing was sent",
            "lost": "",
            "command": "synapse-otel push job-1",
        },
    }


def span(name: str, kind: str, depth: int, message: str) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "status": "error",
        "message": message,
        "depth": depth,
        "process": 0,
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
    assert [(one["status"], one["percent"], one["left"]) for one in shown["progress"]] == [
        ("running", 40.0, "12.0 s left")
    ]
    assert [row["status"] for row in shown["spans"]["rows"]] == ["running", "running"]
    assert shown["delivery"]["command"] == ""


def test_a_crashed_run_says_when_it_was_last_heard_of(journal_dir: Path) -> None:
    """There is no exception to show."""
    shown = document(view_of(a_run(journal_dir, status="crashed")), Redactor(), at(60))

    silent = "The process ended without a word at 15:06:42.000, when its last record was written."
    assert shown["failure"] == {"message": silent, "exceptions": []}


def test_what_is_reported_by_several_processes_is_told_apart(journal_dir: Path) -> None:
    """Spans, progress, curves and messages have the number of their process."""
    for number in (1, 2, 3):
        who = identity(number=number, trace_id=b"T" * 16, worker=number > 1, started=at(number))
        run = write_journal(
            journal_dir,
            who if number == 1 else replace_parent(who),
            rec.Progress(at(4), b"", b"", f"part {number}", 1, 2),
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
    assert [(row["process"], row["depth"], row["name"]) for row in rows] == [
        (0, 0, "train"),
        (1, 1, "train worker"),
        (1, 2, "part 2"),
        (2, 1, "train worker"),
        (2, 2, "part 3"),
        (0, 1, "part 1"),
    ]
    progress = [(one["category"], one["process"]) for one in shown["progress"]]
    assert progress == [("part 1", 0), ("part 2", 1), ("part 3", 2)]
    curves = [(curve["process"], curve["last"]) for curve in shown["charts"][0]["curves"]]
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
    lines = tuple(LineView(at(0), "message", "info", str(number)) for number in range(MOST_LINES + 2))

    shown = messages(replace(view, timeline=lines, lines=len(lines)))

    assert (len(shown["rows"]), shown["rows"][0]["text"], shown["hidden"]) == (MOST_LINES, "2", 2)


def test_the_first_spans_of_very_many_are_shown_and_those_that_failed(journal_dir: Path) -> None:
    """How many were left out is said."""
    view = view_of(a_run(journal_dir))
    steps = [replace(view.spans[0], kind="step", name=str(number), span_id=f"{number:016x}") for number in range(1200)]
    steps[1100] = replace(steps[1100], status="error")
    many = replace(view, spans=tuple(steps))

    shown = spans(many, Owners(many))

    assert [row["name"] for row in shown["rows"]] == [*map(str, range(MOST_SPANS)), "1100"]
    assert shown["hidden"] == 199


@given(st.lists(NUMBERS, max_size=300), st.integers(2, 50))
def test_a_thinned_curve_keeps_its_ends_its_extremes_and_what_is_no_number(values: list[float], most: int) -> None:
    """Whatever the samples are; what is kept is some of them, in order, and not many more than were asked for."""
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
    assert len(kept) <= 5 * math.ceil(len(values) / bucket) + 2


def test_no_file_of_the_page_mentions_another_host(journal_dir: Path) -> None:
    """Templates, styles and scripts of ours have no URL in them."""
    folder = Path(sys.modules[document.__module__].__file__ or "").parent / "templates"
    found = {path.name: re.findall(r"\w+://\S+", path.read_text(encoding="utf-8")) for path in folder.iterdir()}

    assert found == {"page.html": [], "page.css": [], "charts.js": [], "messages.js": []}
