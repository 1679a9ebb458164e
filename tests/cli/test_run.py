from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.kit import Cli, program
from synapse_otel.testing import BlackHole, Collector, Status

PLUGIN = """
import asyncio, signal, sys, threading, time
from pydantic import BaseModel, Field
from synapse_otel import action

class TrainParams(BaseModel):
    epochs: int = Field(2, ge=1)

@action(params=TrainParams)
def train(params, ctx):
    for epoch in range(params.epochs):
        ctx.set_progress(epoch + 1, params.epochs, "train")
        ctx.set_metrics({"loss": 1 / (epoch + 1)}, "training")
        print(f"{epoch=}")
    ctx.log_message("trained", "success")
    return {"epochs": params.epochs, "api_key": "abc"}

def inner(ctx):
    with ctx.step("export"):
        raise ValueError("cannot log in with password=hunter2 to the registry")

@action
def fail(params, ctx):
    inner(ctx)

@action
def nothing(params, ctx):
    assert ctx.env.get("PATH")

@action
def leave(params, ctx):
    sys.exit(params["code"])

@action
async def wait(params, ctx):
    ctx.log_message("waiting")
    await asyncio.sleep(60)

@action
async def wait_beside_a_thread(params, ctx):
    def interrupt():
        time.sleep(0.5)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    await asyncio.sleep(60)

@action
def sleep(params, ctx):
    with ctx.step("nap"):
        for second in range(600):
            ctx.set_progress(second + 1, 600, "seconds")
            if second == 1:
                ctx.log_message("asleep")
            time.sleep(0.02)
"""


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path) -> Path:
    file = tmp_path / "plugin.py"
    file.write_text(PLUGIN)
    return file


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Starts the command in a session of its own, so that signals to its group reach nobody else."""

    def launch(*arguments: str, **options: object) -> subprocess.Popen[bytes]:
        given: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]  # options by name
            [program(), "run", *arguments], cwd=tmp_path, start_new_session=True, **given
        )

    return launch


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=20)
    return process.returncode, out.decode(), err.decode()


def when(reads: str, process: subprocess.Popen[bytes]) -> bytes:
    """Wait until the process has printed something; return what it printed until then."""
    assert process.stdout is not None
    seen = b""
    while reads.encode() not in seen:
        chunk = os.read(process.stdout.fileno(), 4096)
        assert chunk, seen
        seen += chunk
    return seen


# -- how it ends


def test_a_completed_run_shows_its_way_and_says_where_it_is_kept(command: Cli) -> None:
    result = command("run", "plugin.py:train", "--job-id", "job 7")

    assert result.code == 0
    assert result.err == ""
    assert re.fullmatch(
        r"\[progress\] train: 1/2 \(50%\) elapsed 0:00\n"
        r"\[metrics\] training: loss=1\n"
        r"epoch=0\n"
        r"\[progress\] train: 2/2 \(100%\) elapsed 0:00\n"
        r"epoch=1\n"
        r"\[success\] trained\n"
        r"\[metrics\] training: loss=0.5\n"
        r"\n"
        r"✔ completed in [\d.]+ ms\n"
        r'  result     \{"epochs": 2, "api_key": "\[REDACTED\]"\}\n'
        r"  telemetry  kept in the journal: synapse-otel show 'job 7'\n",
        result.out,
    )
    assert command("show", "job 7").out.startswith("train  ✔ completed")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_run_with_an_endpoint_is_sent_and_stays_to_be_shown(
    protocol: str, command: Cli, collector: Collector
) -> None:
    result = command("run", "plugin:train", "--job-id", "job-1", "--name", "my run", **collector.env(protocol))

    endpoint = collector.grpc_endpoint if protocol == "grpc" else collector.http_endpoint
    assert result.code == 0
    assert re.search(
        rf"  telemetry  (\d+) of \1 records sent to {endpoint}\n             to see it: synapse-otel show job-1\n$",
        result.out,
    )
    assert collector.span("my run").attributes["synapse.action"] == "train"
    assert collector.messages == ["trained"]
    assert command("runs").out.splitlines()[1].endswith("delivered")


def test_a_delivered_run_goes_where_the_person_has_said_so(
    command: Cli, collector: Collector, journal_dir: Path
) -> None:
    result = command("run", "plugin:train", SYNAPSE_OTEL_KEEP_DELIVERED="false", **collector.env())

    assert result.code == 0
    assert "synapse-otel show" not in result.out
    assert list(journal_dir.glob("[!.]*")) == []


def test_what_could_not_be_sent_is_pending(command: Cli, collector: Collector) -> None:
    collector.fail(Status(503))

    result = command("run", "plugin:nothing", "--job-id", "job-1", SYNAPSE_OTEL_FINISH_TIMEOUT="0.2", **collector.env())

    assert result.code == 0
    assert f"0 of 3 records sent to {collector.http_endpoint}\n" in result.out
    assert "             3 kept, to be sent later: synapse-otel push job-1\n" in result.out
    assert "result" not in result.out


def test_a_journal_that_cannot_be_written_is_said_at_the_end(
    command: Cli, collector: Collector, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    unwritable = {"SYNAPSE_OTEL_JOURNAL_DIR": str(tmp_path / "file" / "runs")}

    offline = command("run", "plugin:nothing", **unwritable)
    online = command("run", "plugin:nothing", **unwritable, **collector.env())

    assert (offline.code, online.code) == (0, 0)
    assert "  telemetry  3 records not kept: the journal could not be written, see synapse-otel doctor\n" in offline.out
    assert online.out.endswith(f"  telemetry  3 of 3 records sent to {collector.http_endpoint}\n")


def test_a_run_of_which_nothing_is_recorded_says_so(command: Cli) -> None:
    result = command("run", "plugin:nothing", OTEL_SDK_DISABLED="true")

    assert result.code == 0
    assert result.out.endswith("  telemetry  off: OTEL_SDK_DISABLED is true\n")


def test_a_failed_run_shows_the_traceback_once_from_the_person_s_code_on(command: Cli) -> None:
    result = command("run", "plugin:fail")

    assert result.code == 1
    assert result.err.startswith("Traceback (most recent call last):\n  File ")
    assert result.err.endswith("ValueError: cannot log in with password=[REDACTED] to the registry\n")
    assert (result.out + result.err).count("Traceback") == 1
    assert "synapse_otel" not in result.err
    assert "hunter2" not in result.out + result.err
    assert "✖ failed in " in result.out


@pytest.mark.parametrize(
    ("params", "code", "err"),
    [('{"code": 0}', 0, ""), ('{"code": 3}', 1, ""), ('{"code": "no data"}', 1, "no data\n")],
)
def test_an_action_that_exits_is_not_a_traceback(params: str, code: int, err: str, command: Cli) -> None:
    result = command("run", "plugin:leave", "--params", params)

    assert (result.code, result.err) == (code, err)
    assert f"{'✖ failed' if code else '✔ completed'} in " in result.out


# -- bad usage


def test_bad_parameters_start_no_run(command: Cli, journal_dir: Path) -> None:
    result = command("run", "plugin:train", "--params", '{"epochs": 0}')

    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "error: the parameters do not fit TrainParams:\n  epochs: Input should be greater than or equal to 1 (got 0)\n"
    )
    assert not journal_dir.exists()


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        (["nowhere.py"], {}, "there is no file"),
        (["plugin:train", "--params", "{"], {}, "--params is not JSON"),
        (["plugin:train"], {"OTEL_EXPORTER_OTLP_PROTOCOL": "smoke"}, "OTEL_EXPORTER_OTLP_PROTOCOL = 'smoke'"),
        (["plugin:train"], {"SYNAPSE_OTEL_REDACTION_KEYS": '["("]'}, "the secret key pattern '('"),
    ],
    ids=["target", "json", "endpoint", "pattern"],
)
def test_bad_usage_is_one_message(
    arguments: list[str], environ: dict[str, str], message: str, command: Cli, journal_dir: Path
) -> None:
    result = command("run", *arguments, **environ)

    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "Traceback" not in result.err
    assert not journal_dir.exists()


def test_a_module_that_fails_to_load_shows_its_own_traceback(command: Cli, plugin: Path) -> None:
    plugin.write_text("import no_such_dependency\n")

    result = command("run", "plugin.py")

    assert result.code == 1
    assert result.err == (
        "Traceback (most recent call last):\n"
        f'  File "{plugin}", line 1, in <module>\n'
        "    import no_such_dependency\n"
        "ModuleNotFoundError: No module named 'no_such_dependency'\n"
        "error: plugin.py cannot be loaded\n"
    )


# -- interruptions


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("action", ["sleep", "wait"])
def test_an_interrupted_run_ends_as_cancelled_and_is_delivered(
    action: str,
    number: int,
    code: int,
    start: Callable[..., subprocess.Popen[bytes]],
    collector: Collector,
) -> None:
    process = start(f"plugin:{action}", env={**os.environ, **collector.env()})
    when("asleep" if action == "sleep" else "waiting", process)
    os.killpg(process.pid, number)

    returned, out, err = ended(process)

    assert (returned, err) == (code, "")
    assert re.search(r"✖ cancelled in .+\n  error      .+\n  telemetry  (\d+) of \1 records sent", out)
    assert collector.span(action).attributes["synapse.run.status"] == "cancelled"


def test_an_interrupt_wakes_an_action_that_waits(
    start: Callable[..., subprocess.Popen[bytes]], collector: Collector
) -> None:
    """Also one that does not interrupt the wait itself, because another thread of the process gets it."""
    process = start("plugin:wait_beside_a_thread", env={**os.environ, **collector.env()})

    returned, out, err = ended(process)

    assert (returned, err) == (130, "")
    assert "✖ cancelled in " in out


def test_a_second_ctrl_c_gives_up_waiting_for_the_delivery(
    start: Callable[..., subprocess.Popen[bytes]], collector: Collector, command: Cli
) -> None:
    collector.fail(BlackHole())
    environ = {**os.environ, **collector.env(), "SYNAPSE_OTEL_FINISH_TIMEOUT": "60"}
    process = start("plugin:sleep", "--job-id", "job-1", env=environ)
    when("asleep", process)
    os.killpg(process.pid, signal.SIGINT)
    when("failed: KeyboardInterrupt", process)
    time.sleep(0.5)  # one that comes while the action still unwinds is the same interrupt
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)

    returned, out, err = ended(process)

    assert time.monotonic() - began < 5
    assert (returned, err) == (130, "")
    assert re.search(r"\d+ kept, to be sent later: synapse-otel push job-1", out)
    assert command("runs").out.splitlines()[1].split()[:4] == ["job-1", "sleep", "✖", "cancelled"]


def test_ctrl_c_on_a_terminal_leaves_it_as_it_was(
    start: Callable[..., subprocess.Popen[bytes]], collector: Collector
) -> None:
    master, slave = pty.openpty()
    environ = {**os.environ, **collector.env(), "TERM": "xterm-256color", "COLUMNS": "100", "PYTHONFAULTHANDLER": "1"}
    process = start("plugin:sleep", env=environ, stdin=slave, stdout=slave, stderr=slave, preexec_fn=_take_terminal)
    os.close(slave)
    seen = _read_until(master, "asleep")
    os.write(master, b"\x03")
    seen += _read_until(master, None)
    os.close(master)

    assert process.wait(10) == 130, seen
    assert "━" in seen
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l"), "the cursor is hidden"
    assert re.search(r"✖ cancelled.* in ", seen)
    assert "Traceback" not in seen
    assert collector.span("sleep").attributes["synapse.run.status"] == "cancelled"


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read_until(master: int, text: str | None) -> str:
    """Read a terminal until it shows a text, or for None until everybody has left it."""
    seen, deadline = b"", time.monotonic() + 20
    while text is None or text.encode() not in seen:
        assert time.monotonic() < deadline, seen
        if not select.select([master], [], [], 0.5)[0]:
            continue
        try:
            chunk = os.read(master, 4096)
        except OSError:  # nobody has the other end any more
            chunk = b""
        if not chunk:
            break
        seen += chunk
    return seen.decode(errors="replace")
