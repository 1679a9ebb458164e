from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.following import PATIENCE, Follower, Plugin
from cli.kit import SECOND, START, Cli, Result, a_run, identity, program, write_journal
from synapse_otel.journal import records as rec
from synapse_otel.journal.directory import runs
from synapse_otel.journal.writer import Journal
from synapse_otel.testing import Collector


@pytest.fixture
def start() -> Iterator[Callable[..., Plugin]]:
    """Starts plugins."""
    started: list[Plugin] = []

    def launch() -> Plugin:
        started.append(Plugin())
        return started[-1]

    yield launch
    for plugin in started:
        plugin.close()


@pytest.fixture
def plugin(start: Callable[[], Plugin]) -> Plugin:
    return start()


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower]]:
    """Starts followers."""
    started: list[Follower] = []

    def launch(*arguments: str, size: tuple[int, int] | None = None) -> Follower:
        started.append(Follower(*arguments, size=size))
        return started[-1]

    yield launch
    for follower in started:
        follower.close()


Follow = Callable[..., Follower]

CLOCK = r"\d\d:\d\d:\d\d\.\d\d\d  "


# -- on a pipe


def test_on_a_pipe_there_is_a_plain_line_for_everything_new_and_a_summary_at_the_end(
    plugin: Plugin, follow: Follow
) -> None:
    """What a run reports is appended as lines without control codes, and the exit code tells that it completed."""
    plugin.do('ctx.log_message("before")', 'ctx.set_progress(1, 4, "epochs")')
    follower = follow("job-1")
    follower.until(rf"\A{CLOCK}\[run\] train  · running  pid \d+ on .+\n{CLOCK}ℹ before\n")
    follower.until(rf"\A{CLOCK}\[progress\] epochs  25 %  1/4\n")
    plugin.do('ctx.log_message("after", "warning")', 'ctx.set_metrics({"loss": 0.5, "lr": 1}, "training")')
    follower.until(rf"\A{CLOCK}⚠ after\n{CLOCK}\[metrics\] training  loss=0\.5 lr=1\n")
    plugin.do('ctx.set_progress(4, 4, "epochs")')
    follower.until(rf"\A{CLOCK}\[progress\] epochs  100 %  4/4  done\n")
    plugin.end()

    code, rest = follower.ended()

    assert code == 0
    assert re.match(rf"{CLOCK}\[run\] train  ✔ completed  pid \d+ on .+\n\ntrain  ✔ completed  .+\n  job  ", rest)
    assert "training/loss  ▄" in rest
    assert "Timeline" not in rest
    assert rest.endswith("synapse-otel push job-1\n\n")
    assert "\x1b" not in rest


def test_a_failed_run_ends_with_its_exception_and_an_exit_code(plugin: Plugin, follow: Follow) -> None:
    """A run that fails while it is followed is told as it would be by `show`, and exits with 1."""
    follower = follow()
    follower.until("running")
    plugin.end('ValueError("cannot log in with password=hunter2")')

    code, rest = follower.ended()

    assert code == 1
    assert re.search(rf"{CLOCK}✖ ValueError: cannot log in with password=\[REDACTED\]\n", rest)
    assert "\ntrain  ✖ failed  " in rest
    assert "hunter2" not in rest


def test_a_run_whose_process_is_killed_has_crashed_at_once(plugin: Plugin, follow: Follow) -> None:
    """Soon after SIGKILL the view has said that the run crashed, and has ended."""
    follower = follow()
    plugin.do('ctx.log_message("alive")')
    follower.until("alive")
    killed = time.monotonic()
    plugin.kill()
    follower.until(rf"{CLOCK}\[run\] train  ✖ crashed")
    took = time.monotonic() - killed

    code, rest = follower.ended()

    assert took < 10  # far below the interval of heartbeats: nothing has to time out
    assert code == 1
    assert "\ntrain  ✖ crashed  " in rest


def test_every_line_of_a_burst_is_printed_once(plugin: Plugin, follow: Follow) -> None:
    """However much is reported at once, no message is left out and none repeated."""
    follower = follow()
    follower.until("running")
    plugin.do('[ctx.log_message(f"message {number}") for number in range(12_000)]')
    plugin.end()

    _, rest = follower.ended()

    assert re.findall(r"ℹ message (\d+)\n", rest) == [str(number) for number in range(12_000)]


@pytest.mark.parametrize(("options", "first"), [((), 30), (("--all",), 0)], ids=["the last", "all"])
def test_it_begins_with_the_last_lines_from_before_or_with_all(
    options: tuple[str, ...], first: int, plugin: Plugin, follow: Follow
) -> None:
    """A run that has said much begins with as many lines as `show` has."""
    plugin.do('[ctx.log_message(f"message {number}") for number in range(80)]')
    follower = follow(*options)
    follower.until("running")
    plugin.do('ctx.log_message("last")')

    assert follower.until(r"ℹ message (\d+)\n")[1] == str(first)
    follower.until(r"message 79\n.+ℹ last\n")


def test_nobody_reading_is_the_end_without_a_traceback(plugin: Plugin, follow: Follow) -> None:
    """A pipe that is closed, as by `head`, ends the command in silence, though there is nothing to print."""
    reading, writing = os.pipe()
    follower = subprocess.Popen([program(), "show", "-f"], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)

    _, errors = follower.communicate(timeout=PATIENCE)

    assert (follower.returncode, errors) == (1, b"")


# -- on a terminal


def test_on_a_terminal_the_run_is_drawn_and_the_summary_stays(plugin: Plugin, follow: Follow) -> None:
    """Bars, curves, step and messages are on a screen of their own, which gives way to the summary at the end."""
    plugin.do('ctx.set_progress(1, 4, "epochs")')
    follower = follow(size=(80, 24))
    follower.until(re.escape("\x1b[?1049h"))
    follower.until(r"epochs +.*━.* 25 %")
    plugin.do('ctx.set_metrics({"loss": 2.5}, "training")', 'ctx.set_metrics({"loss": 0.5}, "training")')
    follower.until(r"training/loss +.*█▁.* 0\.5 .* 0\.5 .* 2\.5")
    plugin.do('ctx.step("fit").__enter__()', 'ctx.log_message("half way", "success")')
    follower.until(r"step .*fit[^~]*✔ .*half way")
    plugin.end()

    code, rest = follower.ended()

    assert code == 0
    assert rest.rindex("\x1b[?25h") > rest.rfind("\x1b[?25l"), "the cursor is hidden"
    _, restored, summary = rest.partition("\x1b[?1049l")
    assert restored
    assert re.search(r"train.*✔ completed[^~]*Spans[^~]*Progress[^~]*Metrics[^~]*Timeline[^~]*half way", summary)


def test_a_tall_terminal_is_filled(plugin: Plugin, follow: Follow) -> None:
    """There are as many messages on the screen as it has room for, from a single process too."""
    plugin.do('[ctx.log_message(f"message {number}.") for number in range(130)]')
    follower = follow(size=(80, 145))

    assert follower.until(r"ℹ .*message (\d+)\.")[1] == "0"
    follower.until(r"message 129\.")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_the_terminal_as_it_was_and_the_last_state_on_it(
    number: int, code: int, plugin: Plugin, follow: Follow
) -> None:
    """Ctrl-C ends the view, not the run; what was on the screen last stays."""
    plugin.do('ctx.set_progress(1, 4, "epochs")')
    follower = follow(size=(80, 24))
    follower.until("25 %")
    if number == signal.SIGINT:
        follower.press(b"\x03")
    else:
        follower.process.send_signal(number)

    returned, rest = follower.ended()

    assert returned == code
    assert rest.rindex("\x1b[?25h") > rest.rfind("\x1b[?25l"), "the cursor is hidden"
    _, restored, left = rest.partition("\x1b[?1049l")
    assert restored
    assert re.search(r"train.*· running[^~]*epochs.* 25 %", left)
    assert "Traceback" not in left
    assert plugin.is_running()


def test_ctrl_z_gives_the_terminal_back_for_a_while(plugin: Plugin, follow: Follow) -> None:
    """A view that is suspended leaves the shell a usable terminal, and is drawn again when it goes on."""
    follower = follow(size=(80, 24))
    follower.until("running")
    follower.process.send_signal(signal.SIGTSTP)
    follower.until(r"\x1b\[\?25h[^~]*\x1b\[\?1049l")
    _, status = os.waitpid(follower.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    plugin.do('ctx.log_message("meanwhile")')
    follower.process.send_signal(signal.SIGCONT)

    follower.until(r"\x1b\[\?1049h[^~]*running[^~]*meanwhile")


def test_a_terminal_that_changes_its_size_is_filled_anew(plugin: Plugin, follow: Follow) -> None:
    """Within a moment of a resize the run is laid out for the new width."""
    plugin.do('ctx.set_progress(1, 2, "epochs")')
    follower = follow(size=(120, 24))
    wide = follower.until(r"epochs.*50 %")[0]
    follower.resize(40, 12)
    narrow = follower.until(r"\n.{0,10}  epochs.*50 %(?!.*1/2)")[0]

    assert (wide.count("━"), narrow.count("━")) == (40, 22)


def test_nothing_that_a_plugin_reports_controls_the_terminal(plugin: Plugin, follow: Follow) -> None:
    """Control characters are shown, secrets are not, on the screen as in `show`."""
    plugin.do(r'ctx.log_message("\x1b]0;owned\x07\x1b[2J password=hunter2")', r'ctx.set_progress(1, 2, "\x1b[31mred")')
    follower = follow(size=(80, 24))
    follower.until(re.escape(r"\x1b]0;owned\x07\x1b[2J password=[REDACTED]"))
    plugin.end()

    _, rest = follower.ended()

    assert r"\x1b[31mred" in rest
    assert not re.search("\x1b\\[2J|\x1b\\]|hunter2", rest)


# -- several processes, and journals that go


def test_a_worker_that_appears_and_dies_is_told(plugin: Plugin, follow: Follow) -> None:
    """Processes that join the run are followed too; one that is killed has crashed, and the run goes on."""
    follower = follow()
    follower.until("running")
    plugin.do(
        'worker = multiprocessing.get_context("fork").Process(target=lambda: (ctx.log_message("at work"), os.abort()))',
        "worker.start()",
    )
    follower.until(rf"{CLOCK}\[worker\] ")
    follower.until(rf"{CLOCK}ℹ at work\n")
    follower.until(rf"{CLOCK}\[worker\] ✖ crashed")
    plugin.do("worker.join()", 'ctx.log_message("the first goes on")')
    follower.until("the first goes on")
    plugin.end()

    code, rest = follower.ended()

    assert code == 0
    assert re.search(r"    pid \d+ on .+ ✔ completed .+\n    worker pid \d+ on .+ ✖ crashed ", rest)


def test_a_run_that_is_delivered_and_removed_while_it_is_followed_is_shown_to_its_end(
    start: Callable[[], Plugin], follow: Follow, journal_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments that delivery removes, and at last the whole journal, take nothing away from the view."""
    with Collector() as collector:
        for name, value in collector.env().items():
            monkeypatch.setenv(name, value)
        plugin = start()
        follower = follow()
        follower.until("running")
        for part in range(4):
            plugin.do(
                f'[ctx.log_message(f"{{number}} " + "x" * 1000) for number in range({part} * 100, {part + 1} * 100)]',
                'ctx.set_metrics({"loss": 1}, "training")',
                "ctx.flush()",
            )
            follower.until(f"ℹ {part * 100 + 99} x+\n")
        assert [int(file.stem) for file in journal_dir.glob("*/*/*.seg")] == [2]
        plugin.end()

        code, rest = follower.ended()

    assert runs(journal_dir) == []
    assert code == 0
    assert "\ntrain  ✔ completed  " in rest
    assert re.search(r"training/loss  ▄+ +1 +1 +1 +1 +4\n", rest)
    assert re.search(r"\nDelivery  (\d+) of \1 records delivered\n", rest)
    assert "could not be read" not in rest


def test_what_was_removed_before_it_is_followed_is_counted(
    start: Callable[[], Plugin], follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that went because they were delivered are not called damaged."""
    with Collector() as collector:
        for name, value in collector.env().items():
            monkeypatch.setenv(name, value)
        plugin = start()
        plugin.do('[ctx.log_message("x" * 1000) for _ in range(200)]', "ctx.flush()")
        follower = follow()
        follower.until("running")
        plugin.end()

        _, rest = follower.ended()

    assert re.search(r"\n\d+ earlier records of process \d+ went when they had been delivered\n", rest)
    assert "could not be read" not in rest


# -- which run


def test_without_a_name_it_is_the_latest_that_runs(plugin: Plugin, follow: Follow, journal_dir: Path) -> None:
    """A run that started later and has ended does not come before one that is running."""
    a_run(journal_dir, "later", started=time.time_ns() + 60 * SECOND)

    follow().until(rf"{CLOCK}\[run\] train  · running")


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("failed", 1), ("cancelled", 1), ("crashed", 1)])
def test_a_run_that_has_ended_is_shown_and_said_to_have(status: str, code: int, cli: Cli, journal_dir: Path) -> None:
    """There is nothing to follow, so it is what `show` prints, with the exit code of its end."""
    a_run(journal_dir, status=status)

    followed, shown = cli("show", "--follow"), cli("show")

    assert (followed.code, followed.err) == (code, "it is not running: there is nothing to follow\n")
    assert followed.out == shown.out


def test_a_run_that_there_is_not_is_the_same_error_as_without_following(cli: Cli, journal_dir: Path) -> None:
    """A wrong name does not wait for a run of that name."""
    a_run(journal_dir)

    assert cli("show", "-f", "nope") == cli("show", "nope")


def test_json_is_a_document_and_cannot_be_followed(cli: Cli) -> None:
    """The two options contradict each other, and that is said."""
    message = "--follow shows a run as it goes on, --json prints a document of it as it is: one of them"

    assert cli("show", "--follow", "--json") == Result(2, "", f"error: {message}\n")


def test_a_journal_that_begins_is_waited_for(follow: Follow, journal_dir: Path) -> None:
    """A run is found as soon as its directory is there, though nothing is written yet."""
    journal = Journal(journal_dir, identity(started=time.time_ns()))
    assert journal.path
    segment = journal.path.segment(1)
    content = segment.read_bytes()
    segment.write_bytes(b"")
    follower = follow(size=(80, 24))
    follower.until("waiting for the first record")
    segment.write_bytes(content)

    follower.until("train.*· running")
    journal.close()


def test_a_run_of_workers_alone_ends_with_the_last_of_them(follow: Follow, journal_dir: Path) -> None:
    """Where the first process is on another machine, the workers are the run."""
    one, other = (
        Journal(journal_dir, identity(journal_id=f"{number:032x}", worker=True, started=START + number))
        for number in (1, 2)
    )
    follower = follow()
    follower.until(r"\[worker\][^~]*\[worker\]")
    one.append(rec.RunEnded(START + SECOND, "completed"))
    one.close()
    follower.until("completed")
    other.append(rec.RunEnded(START + SECOND, "completed"))
    other.close()

    assert follower.ended()[0] == 0


def test_unreadable_journals_are_the_error_of_show(cli: Cli, journal_dir: Path) -> None:
    """What cannot be read is said as `show` says it."""
    path = write_journal(journal_dir, identity())
    path.segment(1).write_bytes(b"garbage" * 10)

    assert cli("show", "-f") == cli("show")
