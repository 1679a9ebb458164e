"""The export configuration's secrets are given to the agent through a pipe, and are nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.kit import plugin, said, the_agent
from synapse_otel import RuntimeContext
from synapse_otel.agent.assignment import assignment
from synapse_otel.agent.state import agents
from synapse_otel.export.settings import TelemetrySettings
from synapse_otel.testing import Collector, Status

SECRET = "hunter2-hunter2-hunter2"


@pytest.fixture
def secret_headers(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests carry a secret in their headers and one in the URL."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-token={SECRET}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.http_endpoint.replace("://", f"://user:{SECRET}@"))


@pytest.mark.usefixtures("secret_headers")
def test_no_secret_is_in_the_process_list_or_on_the_disk(collector: Collector, root: Path) -> None:
    """Neither the agent's arguments nor its environment nor any file it or the run writes has a header's value."""
    with RuntimeContext.open("job-1") as ctx:
        collector.fail(Status(503, message=f"not with {SECRET}"), times=3)
        ctx.log_message("hello")
        assert ctx.flush(20)
        process = Path("/proc") / str(the_agent(root).pid)
        seen = b"".join((process / name).read_bytes() for name in ("cmdline", "environ"))
        files = [path for path in root.rglob("*") if path.is_file()]
        seen += b"".join(path.read_bytes() for path in files)
    assert len(files) > 5
    assert SECRET.encode() not in seen
    assert all(request.headers["x-token"] == SECRET for request in collector.requests)


@pytest.mark.usefixtures("collector")
def test_the_surroundings_of_the_plugin_do_not_get_code_into_the_agent(root: Path, tmp_path: Path) -> None:
    """A `sitecustomize` on the plugin's path, as of an auto-instrumentation, is not run by the agent."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import os, sys; open({str(tmp_path / 'ran')!r}, 'a').write(' '.join(sys.argv) + '|')"
    )
    code = """
        import os, sys
        os.environ["PYTHONPATH"] = sys.path[0] = sys.argv[1]
        os.chdir(sys.argv[1])
        from synapse_otel import RuntimeContext
        with RuntimeContext.open("job-1") as ctx:
            assert ctx.flush(20)
    """
    said(plugin(code, str(tmp_path)))
    assert agents(root)
    assert not (tmp_path / "ran").exists()


def test_what_differs_in_a_secret_alone_has_another_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations that differ in a header are told apart; what concerns one run only makes no difference."""
    base = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_EXPORTER_OTLP_HEADERS": "a=1"}
    known = assignment(TelemetrySettings.load(), base).fingerprint()
    other = assignment(TelemetrySettings.load(), base | {"OTEL_EXPORTER_OTLP_HEADERS": "a=2"}).fingerprint()
    same = assignment(TelemetrySettings(finish_timeout=1), base | {"SYNAPSE_JOB_ID": "j", "OTEL_SERVICE_NAME": "s"})
    assert known != other
    assert known == same.fingerprint()


def test_files_that_are_named_relatively_are_found_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate's path and the journal directory are made absolute, since the agent works elsewhere."""
    monkeypatch.chdir(tmp_path)
    given = assignment(
        TelemetrySettings(journal_dir=Path("runs")), {"OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem", "UNRELATED": "x"}
    )
    assert given.environ == {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem")}
    assert given.root == tmp_path / "runs"


def test_an_agent_opens_no_port(collector: Collector, root: Path) -> None:
    """Of its sockets, those to the collector, none listens; that of the collector, which is seen the same way, does."""
    with RuntimeContext.open("job-1") as ctx:
        assert ctx.flush(20)
        assert listening(the_agent(root).pid) == set()
    assert listening(os.getpid())


def listening(pid: int) -> set[str]:
    """The sockets of a process that listen, by their inodes."""
    tables = [Path(f"/proc/net/{kind}").read_text().splitlines()[1:] for kind in ("tcp", "tcp6")]
    ports = {f"socket:[{fields[9]}]" for table in tables for line in table if (fields := line.split())[3] == "0A"}
    return {target(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()} & ports


def target(fd: Path) -> str:
    """What a descriptor is of; nothing where it was closed meanwhile."""
    try:
        return os.readlink(fd)
    except OSError:
        return ""
