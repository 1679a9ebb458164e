import io
import os
import pickle
import pty
import re
import subprocess
import sys
import textwrap

import pytest
from rich.console import Console

from synapse_otel.console import ConsoleLogger
from synapse_otel.models import LogLevel, RunStatus
from synapse_otel.projection.redaction import Redactor


class Clock:
    """A clock that goes when it is told to."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("synapse_otel.logger.time.monotonic", clock)
    return clock


class Shown:
    """A logger on a file in memory, and the lines it has written."""

    def __init__(self, **options):
        self.file = io.StringIO()
        self.logger = ConsoleLogger(Console(file=self.file, _environ={}), **options)

    @property
    def lines(self):
        return self.file.getvalue().splitlines()


@pytest.fixture
def pipe():
    return Shown()


@pytest.fixture
def terminal():
    shown = Shown()
    console = Console(
        file=shown.file, force_terminal=True, color_system="standard", width=100, _environ={"TERM": "xterm"}
    )
    shown.logger = ConsoleLogger(console)
    yield shown
    shown.logger.finish()


class TestLines:
    @pytest.mark.parametrize("level", [level for level in LogLevel if level is not LogLevel.DEBUG])
    def test_a_message_has_its_level(self, pipe, level):
        pipe.logger.log_message("low memory", level)
        assert pipe.lines == [f"[{level.value}] low memory"]

    def test_markup_and_emoji_codes_are_text(self, pipe):
        pipe.logger.info("[red]x[/red] [/oops] :smile:")
        assert pipe.lines == ["[info] [red]x[/red] [/oops] :smile:"]

    def test_a_long_message_is_one_line(self, pipe):
        pipe.logger.info("word " * 100 + "end")
        assert pipe.lines == ["[info] " + "word " * 100 + "end"]

    def test_control_characters_are_shown_instead_of_obeyed(self, pipe):
        pipe.logger.info("\x1b[2J\x07clear\r\x9b1A\nnext")
        assert pipe.file.getvalue() == "[info] \\x1b[2J\\x07clear\\x0d\\x9b1A\nnext\n"

    def test_an_event_shows_its_data_and_file(self, pipe):
        pipe.logger.log("info", "saved", {"epoch": 5, "loss": 0.123456789, "to": {"path": "/a\nb"}}, "/model.pt")
        pipe.logger.log("info", "started", {})
        assert pipe.lines == [
            "event saved: epoch=5 loss=0.1235 to={'path': '/a\\nb'} file=/model.pt",
            "event started",
        ]

    def test_a_long_value_is_cut(self, pipe):
        pipe.logger.log("info", "saved", {"x": "a" * 1000})
        assert pipe.lines == [f"event saved: x={'a' * 200}..."]

    def test_an_event_may_be_called_as_ours_are(self, pipe):
        pipe.logger.log("info", "message", {"x": 1})
        pipe.logger.log("info", "dev_event", {"x": 1})
        pipe.logger.log("info", "run_ended", {"x": 1})
        assert pipe.lines == ["event message: x=1", "event dev_event: x=1", "event run_ended: x=1"]

    def test_what_is_for_developers_is_not_shown(self, pipe):
        pipe.logger.log_dev_event("cache", {"hits": 1})
        pipe.logger.debug("details")
        pipe.logger.end_log()
        assert pipe.lines == []

    def test_what_is_for_developers_is_shown_to_them(self):
        pipe = Shown(dev_events=True)
        pipe.logger.log_dev_event("cache", {"hits": 1})
        pipe.logger.log_dev_event("started")
        pipe.logger.debug("details")
        assert pipe.lines == ["[dev] cache hits=1", "[dev] started", "[debug] details"]

    def test_secrets_are_not_shown(self, pipe):
        pipe.logger.info("Authorization: Bearer abcdefghijklmnopqrstuvwxyz0123456789")
        pipe.logger.log("info", "config", {"api_key": "abc", "nested": {"password": "x"}, "api_key_set": True})
        pipe.logger.set_metrics({"token": 0.5, "password": "x"}, "train")
        assert ("abcdefghijklmnopqrstuvwxyz0123456789" in pipe.lines[0], pipe.lines[1:]) == (
            False,
            [
                "event config: api_key=[REDACTED] nested={'password': '[REDACTED]'} api_key_set=True",
                "[metrics] train: token=0.5 password=[REDACTED]",
            ],
        )

    def test_redaction_can_be_turned_off(self):
        pipe = Shown(redactor=Redactor(enabled=False))
        pipe.logger.log("info", "config", {"api_key": "abc"})
        assert pipe.lines == ["event config: api_key=abc"]

    def test_progress_shows_the_first_the_tenths_and_the_last(self, pipe, clock):
        for current in range(1001):
            clock.now += 0.0001
            pipe.logger.set_progress(current, 1000, "train")
        percents = [re.search(r"\((\d+)%\)", line)[1] for line in pipe.lines]
        assert percents == ["0", "10", "20", "30", "40", "50", "60", "70", "80", "90", "100"]

    def test_slow_progress_has_a_line_per_second(self, pipe, clock):
        for current in range(5):
            pipe.logger.set_progress(current, 1000, "train")
            clock.now += 0.5
        assert pipe.lines == [
            "[progress] train: 0/1000 (0%) elapsed 0:00",
            "[progress] train: 2/1000 (0.2%) elapsed 0:01 remaining 8:19",
            "[progress] train: 4/1000 (0.4%) elapsed 0:02 remaining 8:18",
        ]

    def test_categories_do_not_share_their_lines(self, pipe, clock):
        pipe.logger.set_progress(1, 2)
        pipe.logger.set_progress(2, 2, step="load")
        clock.now += 3600
        pipe.logger.set_progress(1.5, 2)
        pipe.logger.set_progress_failed()
        assert pipe.lines == [
            "[progress] progress: 1/2 (50%) elapsed 0:00",
            "[progress] load: 2/2 (100%) elapsed 0:00",
            "[progress] progress: 1.5/2 (75%) elapsed 1:00:00 remaining 1:00:00",
            "[progress] progress: 1.5/2 (75%) failed elapsed 1:00:00",
        ]

    def test_metrics_have_a_line_per_second_and_the_last_at_the_end(self, pipe, clock):
        for epoch in range(5):
            pipe.logger.set_metrics({"epoch": epoch, "loss": 1 / 3}, "train")
            clock.now += 0.4
        pipe.logger.finish()
        assert pipe.lines == [
            "[metrics] train: epoch=0 loss=0.3333",
            "[metrics] train: epoch=3 loss=0.3333",
            "[metrics] train: epoch=4 loss=0.3333",
        ]

    def test_steps_are_shown_with_what_became_of_them(self, pipe):
        with pipe.logger.step("load"):
            pass
        with pipe.logger.step("convert") as step:
            step.skip("nothing new")
        with pipe.logger.step("upload") as step:
            step.fail()
        assert pipe.lines == [
            "[step] load",
            "[step] convert",
            "[step] convert skipped: nothing new",
            "[step] upload",
            "[step] upload failed",
        ]

    def test_a_run_that_failed_says_so_at_the_end(self, pipe):
        with pipe.logger.step("load"):
            pipe.logger.finish(RunStatus.FAILED, ValueError("bad data"))
        assert pipe.lines == ["[step] load", "[run] failed: ValueError: bad data"]

    def test_misuse_raises_as_everywhere(self, pipe):
        with pytest.raises(ValueError, match=r"current must be between 0 and total \(10\), got 11"):
            pipe.logger.set_progress(11, 10)

    def test_a_dumb_terminal_gets_lines(self):
        file = io.StringIO()
        logger = ConsoleLogger(Console(file=file, force_terminal=True, _environ={"TERM": "dumb"}))
        logger.set_progress(1, 2, "train")
        assert file.getvalue() == "[progress] train: 1/2 (50%) elapsed 0:00\n"

    def test_what_was_reported_can_be_asked_for(self, pipe):
        pipe.logger.set_progress(1, 2, "train")
        pipe.logger.set_metrics({"loss": 1}, "train")
        assert (pipe.logger.get_progress("train").percent, pipe.logger.get_metrics()) == (50.0, {"train": {"loss": 1}})


class TestOutputs:
    @pytest.mark.parametrize(
        ("encoding", "written"),
        [
            ("ascii", b"[info] \\u2714 \\xe9\n"),
            ("utf-8", b"[info] \xe2\x9c\x94 \xc3\xa9\n"),
            ("latin-1", b"[info] \\u2714 \xe9\n"),
        ],
    )
    def test_what_an_encoding_does_not_have_is_written_as_an_escape(self, encoding, written):
        file = io.BytesIO()
        logger = ConsoleLogger(Console(file=io.TextIOWrapper(file, encoding=encoding, write_through=True)))
        logger.info("✔ é")
        assert file.getvalue() == written

    def test_a_closed_output_is_the_end_of_the_output_only(self, pipe):
        pipe.file.close()
        pipe.logger.info("m")
        pipe.logger.set_progress(1, 2)
        pipe.logger.finish()
        assert pipe.logger.is_finished

    def test_a_terminal_that_is_gone_is_the_end_of_the_output_only(self, terminal):
        stdout = sys.stdout
        terminal.logger.set_progress(1, 2)
        terminal.file.close()
        terminal.logger.info("m")
        terminal.logger.finish()
        assert (terminal.logger.is_finished, sys.stdout) == (True, stdout)

    def test_an_exit_that_is_asked_for_meanwhile_is_not_lost(self, pipe):
        def leave():
            raise SystemExit(3)

        with pytest.raises(SystemExit):
            pipe.logger._printer.guarded(leave)

    def test_a_broken_pipe_does_not_end_the_process(self):
        code = """
            import sys
            from synapse_otel.console import ConsoleLogger
            logger = ConsoleLogger()
            sys.stdin.read()
            for _ in range(3):
                logger.info("m" * 100_000)
            logger.finish()
            sys.exit(7)
        """
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.stdout.close()
        process.stdout = None
        _, errors = process.communicate(b"", timeout=30)
        assert (errors, process.returncode) == (b"", 7)

    def test_an_ascii_locale_is_no_reason_to_fail(self):
        code = "from synapse_otel.console import ConsoleLogger; ConsoleLogger().info('✔ é')"
        env = {**os.environ, "PYTHONIOENCODING": "ascii"}
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, check=True)
        assert (result.stdout, result.stderr) == (b"[info] \\u2714 \\xe9\n", b"")

    def test_it_can_be_sent_to_another_process(self, capsys):
        logger = pickle.loads(pickle.dumps(ConsoleLogger(dev_events=True)))
        logger.debug("there")
        assert capsys.readouterr().out == "[debug] there\n"


class TestTerminal:
    def test_each_category_has_a_bar_with_its_state(self, terminal, clock):
        terminal.logger.set_progress(0, 4, "train")
        clock.now += 60
        terminal.logger.set_progress(1, 4, "train")
        terminal.logger.set_progress(2, 2, "[red]load[/red]")
        terminal.logger.set_progress(1, 2)
        terminal.logger.set_progress_failed()
        terminal.logger.set_metrics({"loss": 0.5}, "train")
        terminal.logger.set_metrics({"loss": 0.25}, "train")
        terminal.logger.finish()
        last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|━|╸|╺", "", terminal.file.getvalue()).splitlines()[-5:]
        assert [" ".join(line.split()) for line in last] == [
            "train 25% 1/4 1:00 3:00",
            "[red]load[/red] 100% 2/2 0:00 done",
            "progress 50% 1/2 0:00 failed",
            "train: loss=0.25",
            "",
        ][: len(last)]

    def test_messages_are_printed_above_in_their_colour(self, terminal):
        terminal.logger.set_progress(1, 4, "train")
        terminal.logger.warning("[b]low[/b]")
        assert "\x1b[33m⚠ [b]low[/b]\x1b[0m" in terminal.file.getvalue()

    def test_without_unicode_the_symbols_are_ascii(self):
        file = io.BytesIO()
        stream = io.TextIOWrapper(file, encoding="ascii", write_through=True)
        logger = ConsoleLogger(Console(file=stream, force_terminal=True, color_system=None, _environ={"TERM": "xterm"}))
        logger.warning("low")
        assert file.getvalue() == b"! low\n"

    def test_the_cursor_is_hidden_while_bars_are_drawn_and_shown_at_the_end(self, terminal):
        terminal.logger.set_progress(1, 4, "train")
        during = terminal.file.getvalue()
        terminal.logger.finish()
        assert (during.count("\x1b[?25l"), during.count("\x1b[?25h"), terminal.file.getvalue().count("\x1b[?25h")) == (
            1,
            0,
            1,
        )

    def test_after_the_end_nothing_is_drawn(self, terminal):
        terminal.logger.set_progress(1, 4, "train")
        terminal.logger.finish()
        drawn = terminal.file.getvalue()
        terminal.logger._display.metrics("late", {})
        assert terminal.file.getvalue() == drawn

    def test_two_loggers_may_share_a_terminal(self, terminal):
        other = ConsoleLogger(terminal.logger._printer.console)
        terminal.logger.set_progress(1, 4, "train")
        other.set_progress(1, 4, "load")
        other.info("still here")
        other.finish()
        terminal.logger.finish()
        assert terminal.file.getvalue().count("still here") == 1

    def test_a_run_without_progress_draws_nothing(self, terminal):
        terminal.logger.finish()
        assert terminal.file.getvalue() == ""


def run_on_a_terminal(code):
    """Runs code with a terminal as its standard output; returns what was written and how it ended."""
    controller, terminal = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "PYTHONWARNINGS": "ignore::DeprecationWarning"}
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=terminal, stderr=terminal, env=env)
    os.close(terminal)
    written = b""
    while True:
        try:
            part = os.read(controller, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
    os.close(controller)
    return written.decode(), process.wait(timeout=30)


class TestProcess:
    def test_a_forked_child_of_a_pipe_shows_its_progress(self):
        code = """
            import os
            from synapse_otel.console import ConsoleLogger
            logger = ConsoleLogger()
            if os.fork() == 0:
                logger.set_progress(1, 4, "child")
                logger.finish()
            else:
                os.wait()
        """
        result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, check=True)
        assert (result.stdout, result.stderr) == (b"[progress] child: 1/4 (25%) elapsed 0:00\n", b"")

    def test_a_process_that_does_not_finish_its_run_leaves_the_terminal_as_it_was(self):
        written, code = run_on_a_terminal("""
            from synapse_otel.console import ConsoleLogger
            ConsoleLogger().set_progress(1, 4, "train")
        """)
        assert (written.count("\x1b[?25l"), written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l"), code) == (
            1,
            True,
            0,
        )

    def test_prints_of_the_plugin_are_kept_above_the_bars(self):
        written, code = run_on_a_terminal("""
            from synapse_otel.console import ConsoleLogger
            logger = ConsoleLogger()
            logger.set_progress(1, 4, "train")
            print("hello")
            logger.finish()
        """)
        assert ("hello\r\n" in written, code) == (True, 0)

    def test_a_forked_child_prints_messages_and_leaves_the_bars_alone(self):
        written, code = run_on_a_terminal("""
            import os, sys, time
            from synapse_otel.console import ConsoleLogger
            logger = ConsoleLogger()
            logger.set_progress(1, 4, "train")
            for _ in range(20):
                child = os.fork()
                if child == 0:
                    logger.set_progress(2, 4, "train")
                    logger.info("from the child")
                    print("a print")
                    logger.finish()
                    sys.exit(0)
                assert os.waitpid(child, 0)[1] == 0
                time.sleep(0.01)
            logger.finish()
        """)
        assert (written.count("from the child"), written.count("a print"), written.count("\x1b[?25h"), code) == (
            20,
            20,
            1,
            0,
        )
