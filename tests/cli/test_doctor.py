from __future__ import annotations

import datetime
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from cli.kit import SECOND, Cli, Result, a_run, identity, only_journal
from synapse_otel.cli.network import Place, StepError, connect
from synapse_otel.journal import records as rec
from synapse_otel.journal.cursor import Cursor, CursorFile
from synapse_otel.journal.reader import JournalReader
from synapse_otel.journal.writer import Journal
from synapse_otel.testing import Collector, DropConnection, Fault, PartialSuccess, Redirect, ServerTLS, Status

DAY = 86_400 * SECOND
HTTP, GRPC = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def configure(env: pytest.MonkeyPatch, endpoint: str, protocol: str = "http/protobuf", **more: str) -> None:
    for name, value in {HTTP: endpoint, GRPC: protocol, **more}.items():
        env.setenv(name, value)


def traces(result: Result) -> list[str]:
    """The lines about the first signal, without times."""
    section = result.out.partition("\nTraces  ")[2].partition("\n\n")[0]
    return [re.sub(r"  [\d.]+ m?s$", "", line) for line in section.splitlines()[1:]]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def authority_file(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def certified(authority: trustme.CA, name: str = "127.0.0.1", **more: datetime.datetime) -> ServerTLS:
    issued = authority.issue_cert(name, **more)
    return ServerTLS(b"".join(blob.bytes() for blob in issued.cert_chain_pems), issued.private_key_pem.bytes())


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[Collector]:
    with Collector(tls=certified(authority)) as collector:
        yield collector


# -- what is well


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_all_is_well_when_one_probe_of_each_signal_arrives(
    protocol: str, cli: Cli, env: pytest.MonkeyPatch, collector: Collector
) -> None:
    endpoint = collector.grpc_endpoint if protocol == "grpc" else collector.http_endpoint
    configure(env, endpoint, protocol)

    result = cli("doctor")

    assert result.code == 0
    assert result.out.endswith("\n✔ all is well\n")
    assert traces(result) == [
        "  ✔ name        127.0.0.1",
        f"  ✔ connection  {endpoint.removeprefix('http://')}",
        "  ✔ request     sent and taken",
    ]
    assert [span.name for span in collector.spans] == ["synapse.doctor"]
    assert [record.event_name for record in collector.logs] == ["synapse.doctor"]
    assert [point.metric for point in collector.points] == ["synapse.doctor"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_tls_with_a_trusted_authority_is_well(
    protocol: str, cli: Cli, env: pytest.MonkeyPatch, secure: Collector, authority_file: str
) -> None:
    endpoint = secure.grpc_endpoint if protocol == "grpc" else secure.http_endpoint
    configure(env, endpoint, protocol, OTEL_EXPORTER_OTLP_CERTIFICATE=authority_file)

    result = cli("doctor")

    assert result.code == 0
    assert traces(result)[2].startswith("  ✔ TLS         TLSv1.3")


def test_offline_it_says_that_runs_are_kept_and_how_to_send_them(cli: Cli, journal_dir: Path) -> None:
    result = cli("doctor")

    assert result.code == 0
    assert result.out.endswith(
        f"Nothing is sent: no endpoint is configured. Runs are kept in {journal_dir}.\n"
        "  To send them: export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318\n"
        "                synapse-otel push\n"
        "\n"
        "✔ all is well\n"
    )


def test_a_signal_that_is_switched_off_is_not_tried(cli: Cli, env: pytest.MonkeyPatch, collector: Collector) -> None:
    configure(env, collector.http_endpoint, OTEL_METRICS_EXPORTER="none", OTEL_LOGS_EXPORTER="console")

    result = cli("doctor")

    assert result.code == 0
    assert "\nMetrics\n  not sent: OTEL_METRICS_EXPORTER=none\n" in result.out
    assert "\nLogs\n  printed on standard output\n" in result.out
    assert len(collector.requests) == 1


# -- the way to the collector


def test_a_host_that_does_not_resolve(cli: Cli, env: pytest.MonkeyPatch) -> None:
    configure(env, "http://no-such-host.invalid:4318")

    result = cli("doctor")

    assert result.code == 1
    assert traces(result)[0].startswith("  ✖ name        the host 'no-such-host.invalid' does not resolve: ")
    assert result.out.count("not tried: the way there is the same") == 2
    assert result.out.endswith("\n✖ 1 thing is wrong\n")


def test_a_port_where_nothing_listens(cli: Cli, env: pytest.MonkeyPatch, collector: Collector) -> None:
    collector.stop()
    configure(env, collector.http_endpoint)
    place = collector.http_endpoint.removeprefix("http://")

    assert traces(cli("doctor"))[1] == f"  ✖ connection  the connection to {place} is refused: nothing listens there"


def test_a_host_that_does_not_answer() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        to = Place("127.0.0.1", full.getsockname()[1])
        with socket.create_connection((to.host, to.port)), pytest.raises(StepError) as error:
            connect(to, timeout=0.2)

    assert str(error.value) == f"no answer from 127.0.0.1:{to.port} within 0.2 s"


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_an_authority_that_is_not_trusted(protocol: str, cli: Cli, env: pytest.MonkeyPatch, secure: Collector) -> None:
    configure(env, secure.grpc_endpoint if protocol == "grpc" else secure.http_endpoint, protocol)

    assert traces(cli("doctor"))[2:] == [
        "  ✖ TLS         the authority that signed the server's certificate is not trusted: "
        "unable to get local issuer certificate",
        "                It is not among those of this machine; "
        "set OTEL_EXPORTER_OTLP_CERTIFICATE to a file with the authority's certificate.",
    ]


def test_a_certificate_for_another_name(
    cli: Cli, env: pytest.MonkeyPatch, secure: Collector, authority_file: str
) -> None:
    endpoint = secure.http_endpoint.replace("127.0.0.1", "localhost")
    configure(env, endpoint, OTEL_EXPORTER_OTLP_CERTIFICATE=authority_file)

    assert traces(cli("doctor"))[2].startswith("  ✖ TLS         the server's certificate is not for localhost: ")


def test_a_certificate_that_has_expired(
    cli: Cli, env: pytest.MonkeyPatch, authority: trustme.CA, authority_file: str
) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    with Collector(tls=certified(authority, not_before=past, not_after=past + datetime.timedelta(days=1))) as expired:
        configure(env, expired.http_endpoint, OTEL_EXPORTER_OTLP_CERTIFICATE=authority_file)

        assert traces(cli("doctor"))[2] == "  ✖ TLS         the server's certificate has expired"


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_https_to_a_port_without_encryption(
    protocol: str, cli: Cli, env: pytest.MonkeyPatch, collector: Collector
) -> None:
    plain = collector.grpc_endpoint if protocol == "grpc" else collector.http_endpoint
    configure(env, plain.replace("http", "https"), protocol)

    assert traces(cli("doctor"))[3] == (
        f"                Is it a port without encryption? Then the endpoint is {plain}"
    )


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_http_to_a_port_with_encryption(protocol: str, cli: Cli, env: pytest.MonkeyPatch, secure: Collector) -> None:
    endpoint = secure.grpc_endpoint if protocol == "grpc" else secure.http_endpoint
    configure(env, endpoint.replace("https", "http"), protocol)
    port = endpoint.rpartition(":")[2]

    assert traces(cli("doctor"))[2:] == [
        f"  ✖ request     port {port} speaks TLS, and the request is not encrypted",
        f"                Set the endpoint to {endpoint}",
    ]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_http_to_a_grpc_port(
    tls: bool, cli: Cli, env: pytest.MonkeyPatch, collector: Collector, secure: Collector, authority_file: str
) -> None:
    endpoint = secure.grpc_endpoint if tls else collector.grpc_endpoint
    configure(env, endpoint, OTEL_EXPORTER_OTLP_CERTIFICATE=authority_file)

    lines = traces(cli("doctor"))

    port = endpoint.rpartition(":")[2]
    assert lines[-2] == f"  ✖ request     port {port} speaks gRPC, and the request is HTTP"
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=grpc" in lines[-1]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_grpc_to_an_http_port(
    tls: bool, cli: Cli, env: pytest.MonkeyPatch, collector: Collector, secure: Collector, authority_file: str
) -> None:
    endpoint = secure.http_endpoint if tls else collector.http_endpoint
    configure(env, endpoint, "grpc", OTEL_EXPORTER_OTLP_CERTIFICATE=authority_file)

    lines = traces(cli("doctor"))

    port = endpoint.rpartition(":")[2]
    assert lines[-2] == f"  ✖ request     port {port} speaks HTTP, and the request is gRPC"
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in lines[-1]


# -- the answer


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_server_that_wants_credentials(protocol: str, cli: Cli, env: pytest.MonkeyPatch) -> None:
    with Collector(headers={"api-key": "right"}) as closed:
        configure(env, closed.grpc_endpoint if protocol == "grpc" else closed.http_endpoint, protocol)
        none = traces(cli("doctor"))
        env.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=wrong-and-secret")
        wrong = cli("doctor")
        env.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=wrong-and-secret")
        bare = cli("doctor")

    assert re.match(r"  ✖ request     (HTTP 401|gRPC UNAUTHENTICATED)", none[2])
    assert none[3] == (
        "                No header is sent; set OTEL_EXPORTER_OTLP_HEADERS to the one that the server asks for; "
        "usual is authorization, with the value Bearer%20TOKEN"
    )
    assert traces(wrong)[3] == (
        "                The server does not accept the credentials; OTEL_EXPORTER_OTLP_HEADERS sends: api-key. "
        "Complete, and not expired?"
    )
    assert traces(bare)[3] == (
        "                OTEL_EXPORTER_OTLP_HEADERS sends authorization without a scheme; "
        "usual is authorization, with the value Bearer%20TOKEN"
    )
    assert "wrong-and-secret" not in wrong.out + bare.out


def test_a_path_that_is_added_twice(cli: Cli, env: pytest.MonkeyPatch, collector: Collector) -> None:
    configure(env, f"{collector.http_endpoint}/v1/traces")
    url = f"{collector.http_endpoint}/v1/traces/v1/traces"

    assert traces(cli("doctor"))[2:] == [
        f"  ✖ request     HTTP 404: traces are not served at {url}",
        "                OTEL_EXPORTER_OTLP_ENDPOINT takes the base URL: /v1/traces is added to it.",
    ]


def test_a_signal_s_own_endpoint_without_a_path(cli: Cli, env: pytest.MonkeyPatch, collector: Collector) -> None:
    env.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.http_endpoint)

    assert traces(cli("doctor"))[3] == (
        "                OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it is: the path is usually /v1/traces"
    )


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_server_without_the_signal(protocol: str, cli: Cli, env: pytest.MonkeyPatch) -> None:
    with Collector(signals=["metrics", "logs"]) as half:
        configure(env, half.grpc_endpoint if protocol == "grpc" else half.http_endpoint, protocol)
        result = cli("doctor")

    assert traces(result)[3].endswith("If it takes no traces: OTEL_TRACES_EXPORTER=none")
    assert result.out.endswith("\n✖ 1 thing is wrong\n")


@pytest.mark.parametrize(
    ("fault", "problem", "hint"),
    [
        (Status(400, message="no"), "HTTP 400", "The server understood the address"),
        (Status(413), "HTTP 413", "The server takes almost nothing"),
        (Status(503), "HTTP 503", "The server has a problem of its own, or is busy"),
        (Redirect("https://elsewhere/"), "HTTP 307, a redirect to https://elsewhere/", "Redirects are not followed"),
        (PartialSuccess(1, "too old"), "the server answers with success, but rejects the record: too old", ""),
        (DropConnection(), "no answer: ", "The server's own log may say more."),
    ],
    ids=["400", "413", "503", "redirect", "partial", "dropped"],
)
def test_other_answers(
    fault: Fault, problem: str, hint: str, cli: Cli, env: pytest.MonkeyPatch, collector: Collector
) -> None:
    configure(env, collector.http_endpoint)
    collector.fail(fault)

    lines = traces(cli("doctor"))

    assert lines[2].startswith(f"  ✖ request     {problem}")
    assert "".join(lines[3:]).strip().startswith(hint)


def test_a_busy_server_over_grpc(cli: Cli, env: pytest.MonkeyPatch, collector: Collector) -> None:
    configure(env, collector.grpc_endpoint, "grpc")
    collector.fail(Status(503, message="the queue is full"))

    assert traces(cli("doctor"))[2:] == [
        "  ✖ request     gRPC UNAVAILABLE: the queue is full",
        "                The server has a problem of its own, or is busy; records are kept and sent later.",
    ]


def test_a_proxy_in_between_is_named(cli: Cli, env: pytest.MonkeyPatch, collector: Collector) -> None:
    collector.stop()
    configure(env, "http://collector.invalid:4318", HTTP_PROXY=collector.http_endpoint)
    port = collector.http_endpoint.rpartition(":")[2]

    lines = traces(cli("doctor"))

    assert lines[0] == f"  ⚠ proxy       HTTP_PROXY is in between: 127.0.0.1:{port}"
    assert lines[2].startswith(f"  ✖ connection  the connection to 127.0.0.1:{port} is refused")


# -- the settings


def test_every_wrong_variable_is_named(cli: Cli, env: pytest.MonkeyPatch) -> None:
    env.setenv("SYNAPSE_OTEL_QUOTA_BYTES", "few")
    env.setenv("SYNAPSE_OTEL_QUOTA_DAYS", "0")
    env.setenv("SYNAPSE_OTEL_KEEP_DELIVRED", "true")
    env.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    env.setenv("OTEL_METRIC_EXPORT_INTERVAL", "soon")

    result = cli("doctor")

    assert result.code == 1
    for name in ("SYNAPSE_OTEL_QUOTA_BYTES", "SYNAPSE_OTEL_QUOTA_DAYS", "OTEL_METRIC_EXPORT_INTERVAL"):
        assert f"  ✖ variable    {name} = " in result.out
    assert "  ✖ variable    OTEL_EXPORTER_OTLP_PROTOCOL = 'http/json'" in result.out
    assert (
        "  ⚠ variable    SYNAPSE_OTEL_KEEP_DELIVRED is none of our settings; SYNAPSE_OTEL_KEEP_DELIVERED is\n"
    ) in result.out
    assert result.out.endswith("\n✖ 4 things are wrong\n")


def test_a_pattern_that_is_none_is_named(cli: Cli, env: pytest.MonkeyPatch) -> None:
    env.setenv("SYNAPSE_OTEL_REDACTION_PATTERNS", '["("]')

    assert "the redaction pattern '(' is not a valid regular expression" in cli("doctor").out


# -- the journal


def test_a_journal_directory_that_cannot_be_written(cli: Cli, env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    env.setenv("SYNAPSE_OTEL_JOURNAL_DIR", str(tmp_path / "file" / "runs"))

    result = cli("doctor")

    assert result.code == 1
    assert f"  ✖ directory   {tmp_path}/file is no directory\n" in result.out


def test_what_is_undelivered_is_counted(cli: Cli, journal_dir: Path) -> None:
    a_run(journal_dir)
    for number, day in ((2, 2), (3, 3)):
        began = time.time_ns() - day * DAY - SECOND
        left = only_journal(a_run(journal_dir, f"job-{number}", number=number, started=began))
        CursorFile(left.cursor("traces")).save(Cursor())

    out = cli("doctor").out

    assert "  ✔ runs        3 runs, 1 never sent\n" in out
    assert "  ⚠ pending     8 records of 2 runs not delivered, the oldest one for 3 d 00 h\n" in out
    assert out.endswith("\n✔ nothing is wrong, 1 warning\n")


@pytest.mark.parametrize("seconds", [50, 70])
def test_a_run_that_goes_on_may_have_something_on_its_way(cli: Cli, journal_dir: Path, seconds: int) -> None:
    """What waits for less than a minute is no reason to warn, as it is for longer."""
    began = time.time_ns() - seconds * SECOND
    journal = Journal(journal_dir, identity(started=began))
    journal.append(rec.RunStarted(began))
    assert journal.path
    CursorFile(journal.path.cursor("traces")).save(Cursor())

    out = cli("doctor").out
    journal.close()

    warned = "  ⚠ pending     1 record of 1 run not delivered, the oldest one for 1 min"
    assert ("  ✔ runs        1 run, 1 running\n" in out, warned in out) == (True, seconds > 60)


def test_what_was_lost_is_said_with_what_to_do(cli: Cli, journal_dir: Path) -> None:
    """Refused and dropped records of all runs are warnings, with the command or the setting that helps."""
    for number, lost in enumerate(({"message": 2}, {"event": 1}), start=1):
        path = only_journal(a_run(journal_dir, f"job-{number}", number=number))
        tally = Cursor(position=JournalReader(path).end(), dead_lettered=lost, dropped={"dev_event": number - 1})
        CursorFile(path.cursor("logs")).save(tally)

    out = cli("doctor").out

    assert (
        "  ⚠ refused     3 records of 2 runs\n"
        "                Why, is in dead-letters.jsonl in the run's folder. "
        "When that is mended: synapse-otel push --dead-letters\n"
        "  ⚠ dropped     1 record of 1 run\n"
        "                There was no room for them, or they were damaged: raise SYNAPSE_OTEL_QUOTA_BYTES.\n"
    ) in out
