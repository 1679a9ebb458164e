from __future__ import annotations

import math
import re
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from cli.kit import SECOND, START, identity, write_journal
from projection.random_records import runs
from synapse_otel.cli import units
from synapse_otel.cli.follow_curve import Curve
from synapse_otel.cli.follow_frame import Frame, fair_shares
from synapse_otel.cli.follow_run import FollowedRun
from synapse_otel.cli.terminal import Terminal
from synapse_otel.cli.view import RunView, SeriesView
from synapse_otel.cli.view_builder import JournalFacts, JournalFold, run_view
from synapse_otel.cli.waterfall import Waterfall
from synapse_otel.journal import records as rec
from synapse_otel.journal.writer import Journal
from synapse_otel.projection.redaction import Redactor
from synapse_otel.projection.resource import Origin

NOW = START + 60 * SECOND


def at(seconds: float) -> int:
    return START + int(seconds * SECOND)


def seen(*records: rec.Record, live: bool = True) -> RunView:
    fold = JournalFold(Origin(identity("job-1"), "0"))
    for seq, record in enumerate(records):
        fold.take(record, seq)
    return run_view([(fold, JournalFacts(live))], at_a_glance=True)


def lay(view: RunView, width: int, height: int) -> list[str]:
    frame = Frame(Terminal(Redactor()), width, height, NOW)
    return [line.plain for line in frame.lines(view, ["fit"], "the end")]


RUN = seen(
    rec.Progress(at(0), b"", b"", "load", 10, 10),
    rec.Progress(at(10), b"", b"", "epochs", 0, 4),
    rec.Progress(at(58), b"", b"", "epochs", 3, 4),
    rec.Metrics(at(20), b"", b"", "training", {"loss": 2.5}),
    rec.Metrics(at(40), b"", b"", "training", {"loss": 0.5}),
    rec.Message(at(50), b"", b"", "memory is\n\x1b[31mlow", "warning"),
)

WIDE = """\
train  · running  1 min 00 s
  job job-1  pid 101 on box
  step fit

Progress
  load    ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━  100 %  10/10   0 s  done
  epochs  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━··········   75 %    3/4  50 s  eta 14 s

Metrics              first  last  min  max  samples
  training/loss  █▁    2.5   0.5  0.5  2.5        2

Messages
  15:07:30.000  ⚠ memory is\\n\\x1b[31mlow

the end"""

NARROW = """\
train  · running  1 min 00 s
  job job-1  pid 101 on box
  step fit

Progress
  load    ━━━━━━━━━━━━━  100 %  done
  epochs  ━━━━━━━━━━···   75 %  eta 14 s

Metrics              last
  training/loss  █▁   0.5

Messages
  15:07:30  ⚠ memory is\\n\\x1b[31mlow

the end"""


def test_a_wide_terminal_has_all_numbers_and_a_narrow_one_what_matters() -> None:
    """State, bars, times, curves and messages are laid out for 120 and for 40 columns."""
    assert "\n".join(lay(RUN, 120, 24)) == WIDE
    assert "\n".join(lay(RUN, 40, 24)) == NARROW


def test_a_category_that_should_be_done_by_now_is_silent() -> None:
    """Where the time that is left has passed without a report, or no rate is known, that is said."""
    view = seen(
        rec.Progress(at(0), b"", b"", "stalled", 0, 4),
        rec.Progress(at(3), b"", b"", "stalled", 3, 4),
        rec.Progress(at(30), b"", b"", "begun", 1, 4),
        rec.Progress(at(30), b"", b"", "broken", 1, 4, True),
    )

    lines = lay(view, 60, 24)

    assert [line.split("  ")[-1] for line in lines if "━" in line] == ["failed", "silent 57 s", "silent 30 s"]


def test_of_several_processes_each_has_its_pid_and_one_that_died_goes_on_no_more() -> None:
    """On the narrowest terminal too it is seen whose bar is whose, and what is not to be waited for."""
    folds = []
    for number, live in ((1, True), (2, False)):
        fold = JournalFold(Origin(identity("job-1", number=number), "0"))
        fold.take(rec.Progress(at(0), b"", b"", "many batches", 0, 60), 0)
        fold.take(rec.Progress(at(30), b"", b"", "many batches", 20, 60), 1)
        folds.append((fold, JournalFacts(live)))

    lines = lay(run_view(folds, at_a_glance=True), 40, 24)

    assert [line for line in lines if "━" in line or "processes" in line] == [
        "  job job-1  2 processes  1 · running, …",
        "  many ba… (101)  ━━····  33 %  eta 30 s",
        "  many ba… (102)  ━━····  33 %",
    ]


def test_a_remaining_time_beyond_all_reason_is_not_spelled_out() -> None:
    """A rate that is next to nothing makes a short text, not hundreds of digits."""
    view = seen(rec.Progress(at(0), b"", b"", "a", 0, 1e290), rec.Progress(at(60), b"", b"", "a", 1, 1e290))

    assert lay(view, 120, 24)[5].endswith("  1 min 00 s  eta > 100 y")


def test_a_run_that_has_ended_is_timed_to_its_end() -> None:
    """Nothing goes on in a run that has crashed: no remaining time, no silence."""
    view = seen(rec.Progress(at(0), b"", b"", "a", 0, 4), rec.Progress(at(5), b"", b"", "a", 2, 4), live=False)

    lines = lay(view, 60, 24)

    assert lines[0] == "train  ✖ crashed  5 s"
    assert lines[5].endswith("50 %  2/4")


def test_what_there_is_no_room_for_is_counted() -> None:
    """On a low terminal each section has its share: the categories that go on, the first metrics, the last messages."""
    view = seen(
        *(rec.Progress(at(n), b"", b"", f"category {n}", 1, 1 + n // 5) for n in range(10)),
        rec.Metrics(at(20), b"", b"", "training", {f"key_{n}": n for n in range(10)}),
        *(rec.Message(at(n), b"", b"", f"message {n}", "info") for n in range(10)),
    )

    lines = lay(view, 60, 20)

    assert [re.sub(" +", " ", line) for line in lines if "of 10" in line] == [
        "Progress 3 of 10",
        "Metrics last min max 3 of 10",
    ]
    assert [line.split("━")[0].strip() for line in lines if "━" in line] == ["category 7", "category 8", "category 9"]
    assert [line.split()[0] for line in lines if "key_" in line] == [f"training/key_{n}" for n in range(3)]
    assert [line.split()[-1] for line in lines if "message" in line] == ["7", "8", "9"]
    assert len(lines) == 20


@given(runs(), st.integers(1, 130), st.integers(3, 40), st.booleans())
def test_any_run_fits_into_any_terminal(records: list[rec.Record], width: int, height: int, live: bool) -> None:
    """No line is wider, and no frame higher, than the terminal; and no control character is in it."""
    frame = Frame(Terminal(Redactor()), width, height, NOW)

    lines = frame.lines(seen(*records, live=live), ["日本語"], "the end")

    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines)
    assert not set(Text("").join(lines).plain) & set(map(chr, [*range(32), *range(127, 160)]))


@given(st.integers(-5, 60), st.lists(st.integers(0, 30), max_size=6))
def test_room_is_shared_fairly(room: int, wanted: list[int]) -> None:
    """Nobody gets more than is wanted or there is, and whoever gets less than is wanted has as much as any other."""
    shares = fair_shares(room, wanted)

    assert all(0 <= share <= want for share, want in zip(shares, wanted, strict=True))
    assert sum(shares) == min(max(0, room), sum(wanted))
    short = [share for share, want in zip(shares, wanted, strict=True) if share < want]
    assert all(share + 1 >= max(shares) for share in short)


# -- in bounded memory


numbers = st.floats() | st.integers(-(2**53), 2**53)


@given(st.lists(numbers, max_size=400))
def test_a_curve_of_few_samples_is_the_series_itself(samples: list[float]) -> None:
    """Up to five hundred samples nothing is lost."""
    curve, series = Curve("training", "loss", "1"), SeriesView("training", "loss", "1")
    for t, value in enumerate(samples):
        curve.add(t, value)
        series.add(t, value)

    assert units.sparkline(curve.values, 24) == units.sparkline(series.values, 24)
    assert len(curve.values) == len(samples)
    assert (curve.samples, curve.not_finite, curve.low, curve.high) == (
        series.samples,
        series.not_finite,
        series.low,
        series.high,
    )


def test_a_long_curve_looks_like_its_series_and_stays_small() -> None:
    """A hundred thousand samples are a few hundred means, and the same picture, whatever is not finite among them."""
    curve, series = Curve("training", "loss", "1"), SeriesView("training", "loss", "1")
    for number in range(100_000):
        value = math.nan if number % 7 == 0 or 40_000 < number < 50_000 else math.sin(number / 20_000)
        curve.add(number, value)
        series.add(number, value)

    assert len(curve.values) < 512
    assert units.sparkline(curve.values, 20) == units.sparkline(series.values, 20)
    assert (curve.samples, curve.low, curve.high, curve.last) == (100_000, series.low, series.high, series.last)
    assert math.isnan(curve.first)


def test_means_of_the_largest_numbers_are_finite() -> None:
    """No sum exceeds what a float holds."""
    curve = Curve("training", "loss", "1")
    for number in range(2_000):
        curve.add(number, (-1) ** number * sys.float_info.max)

    assert all(map(math.isfinite, curve.values))


def test_of_many_spans_the_longest_are_kept_with_all_that_they_are_inside_of() -> None:
    """A long run keeps a tree of about as many spans as are wanted, and counts the others."""
    waterfall = Waterfall(Origin(identity(), "0"), most=10)
    waterfall.take(rec.StepStarted(at(0), b"outer...", b"", "outer"), 0)
    for number in range(1, 101):
        span = number.to_bytes(8, "big")
        waterfall.take(rec.StepStarted(at(number), span, b"outer...", f"inner {number}"), 0)
        waterfall.take(rec.StepEnded(at(number + number / 1000), span, "completed"), 0)

    kept = waterfall.close(at(200), "running")

    assert {"train", "outer", "inner 100"} < {span.name for span in kept}
    assert len(kept) + waterfall.left_out == 102
    assert len(kept) < 2 * 10 + 2


def test_spans_that_failed_are_kept_with_all_that_they_are_inside_of() -> None:
    """However short a step that failed, it is not left out for longer ones, nor is what it is inside of."""
    waterfall = Waterfall(Origin(identity(), "0"), most=10)

    def step(name: bytes, parent: bytes, start: float, end: float, status: str = "completed") -> None:
        waterfall.take(rec.StepStarted(at(start), name, parent, name.decode()), 0)
        waterfall.take(rec.StepEnded(at(end), name, status), 0)

    waterfall.take(rec.StepStarted(at(0), b"outer...", b"", "outer..."), 0)
    step(b"inner...", b"outer...", 0.1, 0.2, "failed")
    waterfall.take(rec.StepEnded(at(0.3), b"outer...", "completed"), 0)
    for number in range(1, 101):
        step(b"long%04d" % number, b"", number, number + 5)

    kept = waterfall.close(at(200), "running")

    assert {"train", "outer...", "inner..."} < {span.name for span in kept}
    assert len(kept) < 2 * 10 + 1


def test_a_long_run_is_read_bit_by_bit(journal_dir: Path) -> None:
    """A reading of no time gives a part of the run, which can be shown, and is gone on with by the next one."""
    messages = [rec.Message(at(number), b"", b"", f"message {number}", "info") for number in range(25_000)]
    write_journal(journal_dir, identity(), *messages)
    followed = FollowedRun(next(journal_dir.iterdir()), Redactor(), 50)

    readings = []
    while not followed.read(0):
        readings.append(followed.records)
        assert followed.glimpse(1).timeline[0].text == f"message {followed.records - 2}"

    assert len(readings) >= 3
    assert followed.is_over
    assert followed.records == 25_001


def test_journals_are_let_go_while_the_run_goes_on(journal_dir: Path) -> None:
    """What is held open is closed when following is left."""
    journal = Journal(journal_dir, identity())
    before = len(list(Path("/proc/self/fd").iterdir()))
    followed = FollowedRun(next(journal_dir.iterdir()), Redactor(), 50)
    journal.append(rec.RunStarted(START))
    followed.read(1)
    held = len(list(Path("/proc/self/fd").iterdir()))
    followed.close()

    assert (held, len(list(Path("/proc/self/fd").iterdir()))) == (before + 1, before)
    journal.close()
