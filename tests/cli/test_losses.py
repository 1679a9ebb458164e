"""What a real run loses is said once in its own log, and shown everywhere with what to do about it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.following import Follower, Plugin
from cli.kit import Cli, Result, wait_until_nobody_ships
from synapse_otel import RuntimeContext
from synapse_otel.journal.quota import Quota, enforce
from synapse_otel.testing import Collector, Refuse


@pytest.fixture(autouse=True)
def poisoned(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that refuses log records about poison; delivered runs are kept."""
    for name, value in collector.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SYNAPSE_OTEL_KEEP_DELIVERED", "true")
    collector.fail(Refuse(lambda item: "poison" in str(getattr(item, "body", "")), message="no"))


def refused_run() -> None:
    """A run of which three messages were refused."""
    with RuntimeContext.open("a job", "train") as ctx:
        for number in range(3):
            ctx.log_message(f"poison {number}")
            assert ctx.flush(20)
    wait_until_nobody_ships(Path(os.environ["SYNAPSE_OTEL_JOURNAL_DIR"]))


@pytest.mark.usefixtures("shipper")
def test_refused_records_are_shown_with_the_command_that_sends_them_again(
    cli: Cli, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The run's log says it once; `runs`, `show`, `report` and `doctor` have the number and the command."""
    with caplog.at_level(logging.WARNING, "synapse_otel"):
        refused_run()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "a refused record (message) is kept as a dead letter" in said[0]

    retry = "synapse-otel push --dead-letters"
    assert cli("runs").out.endswith(f"dead letters 3\n✖ 3 dead letters, to send again: {retry}\n")
    assert json.loads(cli("runs", "--json").out)[0]["delivery"]["dead_letters"] == 3
    assert cli("show").out.endswith(
        "Delivery  2 of 5 records delivered, 3 refused by the collector\n"
        f"  what was refused can be sent again: {retry} 'a job'\n\n"
    )
    assert json.loads(cli("show", "--json").out)["delivery"]["dead_lettered"] == 3
    assert cli("report", "-o", str(tmp_path / "run.html")).code == 0
    page = (tmp_path / "run.html").read_text()
    assert '<strong class="bad">3 refused by the collector</strong>' in page
    assert f"<code>{retry} &#39;a job&#39;</code>" in page
    assert "  ⚠ refused     3 records of 1 run\n" in cli("doctor").out


@pytest.mark.usefixtures("shipper")
def test_of_a_run_that_was_removed_but_for_its_letters_that_is_said(
    cli: Cli, journal_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing but dead letters is left there is nothing to show, and the command names the run."""
    monkeypatch.setenv("SYNAPSE_OTEL_KEEP_DELIVERED", "false")
    refused_run()
    (run,) = journal_dir.glob("[!.]*")
    said = (
        f"error: {run.name} was delivered and removed, but for 3 records that the collector refused: "
        f"synapse-otel push --dead-letters {run.name}\n"
    )
    for command in (["show"], ["show", "--json"], ["show", "--follow"], ["report"]):
        assert cli(*command) == Result(1, "", said)
    assert "✖ 3 dead letters, to send again" in cli("runs").out


@pytest.mark.usefixtures("shipper")
def test_the_summary_of_a_run_has_the_command(command: Callable[..., Result], tmp_path: Path) -> None:
    """`run` says at its end what was refused."""
    (tmp_path / "plugin.py").write_text(
        "from synapse_otel import RuntimeContext, action\n"
        "@action\n"
        "def bad(params: dict, ctx: RuntimeContext) -> None:\n"
        "    ctx.log_message('poison')\n"
    )
    result = command("run", "plugin:bad", "--job-id", "job-1")
    assert "1 refused by the collector: synapse-otel push --dead-letters job-1\n" in result.out


def test_what_the_quota_dropped_of_a_run_that_was_never_sent_is_not_called_kept(
    cli: Cli, journal_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that went for lack of space are shown as dropped, also where nothing was to be sent."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    with RuntimeContext.open("job-1", "train") as ctx:
        for number in range(3000):
            ctx.log_dev_event(f"{number} {'x' * 10_000}")
        gone = enforce(journal_dir, Quota(1, 1e9)).total()
        assert gone > 100
        assert (ctx.report().dropped, ctx.report().pending) == (gone, ctx.report().accepted - gone)
    told = json.loads(cli("show", "--json").out)["delivery"]
    assert (told["accepted"], told["dropped"], told["pending"]) == (3002, gone, 3002 - gone)
    assert f"Delivery  {3002 - gone} records kept here, nothing was sent, {gone:,} dropped: " in cli("show").out


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower]]:
    started: list[Follower] = []

    def launch(*arguments: str, size: tuple[int, int] | None = None) -> Follower:
        started.append(Follower(*arguments, size=size))
        return started[-1]

    yield launch
    for follower in started:
        follower.close()


@pytest.mark.usefixtures("shipper")
def test_a_run_that_is_followed_says_what_it_loses(follow: Callable[..., Follower]) -> None:
    """On a pipe there is a line whenever more is lost, on a terminal it stands there; at the end both have it."""
    plugin = Plugin()
    try:
        pipe, terminal = follow("job-1"), follow("job-1", size=(100, 30))
        pipe.until("running")
        plugin.do('ctx.log_message("poison")', "ctx.flush()")
        pipe.until(r"\[delivery\] 1 refused by the collector\n")
        terminal.until("1 refused by the collector")
        plugin.do('ctx.log_message("poison")', "ctx.flush()")
        pipe.until(r"\[delivery\] 2 refused by the collector\n")
        plugin.end()
        for follower in (pipe, terminal):
            assert "what was refused can be sent again: synapse-otel push --dead-letters job-1" in follower.ended()[1]
    finally:
        plugin.close()
