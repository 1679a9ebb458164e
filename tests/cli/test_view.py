from __future__ import annotations

import io
import json
import math
from contextlib import redirect_stdout
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.kit import START, identity
from projection.random_records import runs
from synapse_otel.cli.show_json import document
from synapse_otel.cli.show_text import ShowText
from synapse_otel.cli.step_names import StepNames
from synapse_otel.cli.terminal import Terminal
from synapse_otel.cli.timeline import distinct_errors
from synapse_otel.cli.view import ExceptionView, RunView
from synapse_otel.cli.view_builder import JournalFacts, JournalFold, run_view
from synapse_otel.journal import records as rec
from synapse_otel.projection.redaction import Redactor
from synapse_otel.projection.resource import Origin

LOAD, FIT = b"L" * 8, b"F" * 8


def at(seconds: float) -> int:
    return START + int(seconds * 1_000_000_000)


def fold(*records: rec.Record, who: rec.Identity | None = None, most_lines: int | None = None) -> JournalFold:
    folded = JournalFold(Origin(who or identity(), "0"), most_lines)
    for seq, record in enumerate(records):
        folded.take(record, seq)
    return folded


def view(*records: rec.Record, live: bool = False, most_lines: int | None = None) -> RunView:
    return run_view([(fold(*records, most_lines=most_lines), JournalFacts(live))], most_lines)


def shape(found: RunView) -> list[tuple[int, str, str, str, bool]]:
    return [(span.depth, span.kind, span.name, span.status, span.open) for span in found.spans]


STEPS = (
    rec.RunStarted(START),
    rec.StepStarted(at(0), LOAD, b"", "load"),
    rec.StepEnded(at(1), LOAD, "completed"),
    rec.StepStarted(at(1), FIT, b"", "fit"),
    rec.Progress(at(2), FIT, b"", "epochs", 1, 4),
)


def test_the_waterfall_is_a_tree_of_run_steps_and_phases() -> None:
    found = view(*STEPS, rec.StepEnded(at(5), FIT, "failed", "no memory"), rec.RunEnded(at(6), "failed", "no memory"))

    assert shape(found) == [
        (0, "run", "train", "error", False),
        (1, "step", "load", "ok", False),
        (1, "step", "fit", "error", False),
        (2, "phase", "epochs", "error", False),
    ]
    assert (found.status, found.message, found.ended) == ("failed", "no memory", at(6))


def test_what_has_not_ended_is_open_in_a_run_that_lives() -> None:
    found = view(*STEPS, live=True)

    assert shape(found) == [
        (0, "run", "train", "ok", True),
        (1, "step", "load", "ok", False),
        (1, "step", "fit", "ok", True),
        (2, "phase", "epochs", "unset", True),
    ]
    assert {span.end for span in found.spans if span.open} == {at(2)}
    assert (found.status, found.ended, found.last) == ("running", None, at(2))


def test_what_has_not_ended_failed_in_a_run_that_crashed() -> None:
    found = view(*STEPS)

    assert [span[3:] for span in shape(found)] == [("error", False), ("ok", False), ("error", False), ("error", False)]
    assert (found.status, found.ended) == ("crashed", at(2))


def test_a_danger_message_marks_its_step() -> None:
    found = view(
        *STEPS,
        rec.Message(at(3), FIT, b"", "loss is rising", "danger"),
        rec.StepEnded(at(4), FIT, "completed"),
        rec.RunEnded(at(5), "completed"),
    )

    assert [(span.name, span.status, span.message) for span in found.spans if span.kind == "step"] == [
        ("load", "ok", ""),
        ("fit", "error", "loss is rising"),
    ]


@pytest.mark.parametrize(
    ("own", "names_run", "shown"),
    [("run", False, "fit"), ("train", False, "train"), ("train", True, "fit")],
    ids=["no name of its own", "a name of its own", "named after the action"],
)
def test_a_run_is_called_as_its_root_span_is(own: str, names_run: bool, shown: str) -> None:
    """An action names a run that has no name of its own, or that is to be named after it."""
    record = rec.ActionNamed(at(0), "fit", names_run=names_run)
    found = run_view([(fold(record, who=identity(name=own)), JournalFacts())])

    assert (found.name, found.spans[0].name, found.action) == (shown, shown, "fit")


def test_metrics_are_series_with_every_sample() -> None:
    found = view(
        rec.Metrics(at(1), b"", b"", "training", {"loss": 1.5, "epoch": 1, "nested": {"lr": 0.1}, "name": "adam"}),
        rec.Metrics(at(2), b"", b"", "training", {"loss": math.nan, "epoch": 2}),
    )

    series = {one.key: one for one in found.metrics}
    assert list(series) == ["loss", "epoch", "nested.lr"]
    assert list(series["loss"].times) == [at(1), at(2)]
    assert (series["loss"].samples, series["loss"].not_finite) == (2, 1)
    assert [type(series["epoch"].as_reported(value)) for value in series["epoch"].values] == [int, int]
    assert [(line.kind, line.text, line.data) for line in found.timeline] == [("metrics", "training", {"name": "adam"})]


def test_progress_is_where_each_category_stands_since_it_began() -> None:
    found = view(
        rec.Progress(at(1), b"", b"", "load", 10, 10),
        rec.Progress(at(2), b"", b"", "epochs", 1, 3),
        rec.Progress(at(3), b"", b"", "epochs", 2, 3, True),
        rec.Progress(at(4), b"", b"", "load", 1, 10),
    )

    assert [(one.category, one.current, one.total, one.status, one.started) for one in found.progress] == [
        ("load", 1, 10, "open", at(4)),
        ("epochs", 2, 3, "failed", at(2)),
    ]


def test_the_timeline_keeps_the_last_lines_and_counts_all() -> None:
    messages = [rec.Message(at(number), b"", b"", f"message {number}", "info") for number in range(100)]

    found = view(*messages, most_lines=3)

    assert [line.text for line in found.timeline] == ["message 97", "message 98", "message 99"]
    assert found.lines == 100


@given(st.lists(st.lists(st.integers(0, 50), max_size=8).map(sorted), min_size=1, max_size=3), st.integers(0, 12))
def test_the_last_lines_of_all_processes_are_the_last_of_the_timeline(times: list[list[int]], most: int) -> None:
    """As many lines as are wanted, down to none, are the end of all of them."""
    folds = [
        (fold(*(rec.Message(at(t), b"", b"", f"{t}", "info") for t in of_one), who=identity(number=n)), JournalFacts())
        for n, of_one in enumerate(times)
    ]

    assert run_view(folds, most).timeline == run_view(folds).timeline[max(0, sum(map(len, times)) - most) :]


def test_each_exception_is_told_apart_from_where_it_came_to_rest() -> None:
    """Of records of one exception the last one counts, in the order of the last ones."""
    names = ["ValueError", "KeyError", "ValueError", "OSError", "KeyError"]
    recorded = [ExceptionView(at(t), name, "boom", f"Traceback {t}") for t, name in enumerate(names)]

    assert [found.stacktrace for found in distinct_errors(recorded)] == ["Traceback 2", "Traceback 3", "Traceback 4"]


def test_a_category_goes_on_while_its_own_process_runs() -> None:
    """What a crashed worker has left open does not go on, though its run does; what is complete does not either."""
    main, worker = identity(), identity(number=2, worker=True)
    folds = [
        (fold(rec.Progress(at(1), b"", b"", "a", 1, 2), rec.Progress(at(1), b"", b"", "b", 2, 2), who=main), True),
        (fold(rec.Progress(at(1), b"", b"", "a", 1, 2), who=worker), False),
    ]
    found = run_view([(folded, JournalFacts(live)) for folded, live in folds])

    assert [found.goes_on(one) for one in found.progress] == [True, False, False]


def test_steps_that_ended_long_ago_are_forgotten() -> None:
    """What is said late in a step is still told to belong to it; of a million steps only the last ones are known."""
    steps = StepNames()
    for number in range(5_000):
        steps.start(rec.StepStarted(at(number), number.to_bytes(8, "big"), b"", f"step {number}"))
        steps.end(number.to_bytes(8, "big"))

    known = [number for number in range(5_000) if steps.name(number.to_bytes(8, "big"))]
    assert known == list(range(4_000, 5_000))
    assert steps.current() == []


def test_an_exception_on_its_way_out_is_one_line() -> None:
    found = view(
        *STEPS,
        rec.ExceptionRecorded(at(3), FIT, b"", "ValueError", "boom", "Traceback inner"),
        rec.StepEnded(at(3), FIT, "failed", "boom"),
        rec.ExceptionRecorded(at(3), b"", b"", "ValueError", "boom", "Traceback outer"),
        rec.RunEnded(at(3), "failed", "boom"),
    )

    assert [(line.kind, line.text, line.step) for line in found.timeline] == [("exception", "ValueError: boom", "fit")]
    assert [one.stacktrace for one in found.exceptions] == ["Traceback inner", "Traceback outer"]


def test_processes_are_one_run_led_by_the_one_that_is_no_worker() -> None:
    main, worker = identity(started=at(1)), identity(number=2, started=at(0), parent_span_id=b"\1" * 8, worker=True)
    folds = [
        (fold(rec.Message(at(2), b"", b"", "from the worker", "info"), who=worker), JournalFacts(live=False)),
        (fold(rec.Message(at(3), b"", b"", "from the first", "info"), who=main), JournalFacts(live=True)),
    ]

    found = run_view(folds)

    assert [(one.pid, one.worker, one.status) for one in found.processes] == [
        (101, False, "running"),
        (102, True, "crashed"),
    ]
    assert [line.text for line in found.timeline] == ["from the worker", "from the first"]
    assert shape(found) == [(0, "run", "train", "ok", True), (1, "run", "train worker", "error", False)]


def test_dropped_records_count_and_say_so() -> None:
    found = view(rec.Dropped(at(1), {"dev_event": 40, "message": 2}))

    assert found.processes[0].records == 42
    assert found.timeline[0].text == "42 records were dropped here: the journal directory was full"


@given(runs(), st.booleans())
@settings(deadline=None)
def test_any_sequence_of_records_is_a_tree_with_the_run_at_its_root_and_can_be_shown(
    records: list[rec.Record], live: bool
) -> None:
    found = view(*records, live=live)

    assert [span.kind for span in found.spans if span.depth == 0].count("run") == 1
    assert all(later.depth <= span.depth + 1 for span, later in pairwise(found.spans))
    assert all(span.start <= span.end for span in found.spans)
    assert json.loads(document(found, Redactor()))["lines"] == found.lines
    printed = io.StringIO()
    with redirect_stdout(printed):
        ShowText(Terminal(Redactor()), found.last).print(found)
    assert not set(printed.getvalue()) & set(map(chr, [*range(10), *range(11, 32), *range(127, 160)]))
