"""Credentials anywhere in what a run says never leave the machine and are not shown; nor are those of the export."""

from __future__ import annotations

import html
import itertools
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faults.commands import outcome
from faults.flight import batched, fly_to
from faults.kit import Place
from projection.corpus_secrets import SECRETS, Secret
from synapse_otel import RuntimeContext
from synapse_otel.testing import Collector, Redirect, Status

WORD = "zq7wk3xp9"
"""No credential by its looks: a secret only where its key says so."""

NAMEABLE = [case for case in SECRETS if len(case.text) <= 200 and "\n" not in case.text]
"""What a name, which is cut, has room for."""

UNDER_KEYS: list[dict[str, Any]] = [
    {"password": WORD},
    {"db": {"connection": {"password": WORD}}},
    {"api": {"key": WORD}},
    {"clients": [{"auth": {"token": WORD}}]},
    {"credentials": {"user": WORD, "value": WORD}},
    {"headers": {"Authorization": f"Basic {WORD}", "X-Api-Key": WORD}},
    {"OPENAI_API_KEY": WORD, "wandb": {"key": WORD}},
    {"password": [WORD, {WORD: WORD}]},
]


def say_everywhere(ctx: RuntimeContext, case: Secret) -> None:
    """Put a credential wherever a plugin can put text."""
    text = case.text
    ctx.log("event", {"value": text, "nested": {"list": [text, {"deep": text}]}, "bytes": text.encode()}, file=text)
    ctx.log_message(text, "warning")
    ctx.log_dev_event(text, {"value": text, "error": ValueError(text)})
    ctx.set_metrics({"note": text, "nested": {"note": text}}, "notes")
    ctx.logger.set_step(None)
    try:
        with ctx.step("step") as step:
            step.fail(text)
        with ctx.step("raising"):
            raise ConnectionError(text)
    except ConnectionError:
        pass
    if case in NAMEABLE:
        name_everything(ctx, text)


def name_everything(ctx: RuntimeContext, text: str) -> None:
    """Call everything by a credential that has a name."""
    ctx.log(text, {text: 1, "inner": {text: [1]}})
    ctx.set_metrics({text: 1.5, "inner": {text: "no number"}}, text)
    ctx.set_progress(1, 2, text)
    ctx.logger.set_action(text, text)
    with ctx.step(text):
        ctx.log_message("inside")
    ctx.logger.log_message("coded", key=text)
    error = type(text, (Exception,), {})("of a telling type")
    try:
        with ctx.step("raising"):
            raise error
    except type(error):
        pass


def shown(directory: Path) -> str:
    """Everything that the command line shows of every run."""
    output = directory / "output"
    jobs = sorted(path.name for path in (directory / "runs").iterdir() if not path.name.startswith("."))
    commands = [["runs", "--limit", "0"], ["runs", "--json"]]
    for number, job in enumerate(jobs):
        report = str(directory / f"report-{number}.html")
        commands += [["show", job, "--all"], ["show", job, "--json"], ["report", job, "-o", report]]
    with output.open("w") as file:
        failed = [one for one in (outcome(command, file) for command in commands) if one["result"] != 0]
    assert failed == []
    pages = "\n".join(path.read_text() for path in sorted(directory.glob("report-*.html")))
    plain = output.read_text() + pages
    return plain + html.unescape(plain) + json.loads(f'"{_unescaped(plain)}"')


def _unescaped(text: str) -> str:
    """JSON inside of anything, as the string that it would be."""
    return json.dumps(text)[1:-1].replace('\\\\\\"', '\\"').replace("\\\\/", "/")


def sent(collector: Collector) -> str:
    """Everything that was sent, headers too."""
    assert collector.requests
    assert all(request.body for request in collector.requests)
    return "\n".join(
        f"{request.path} {request.headers} {request.body.decode('latin-1')}" for request in collector.requests
    )


def leaked(where: str, cases: Iterable[Secret]) -> list[str]:
    return [case.name for case in cases if case.secret in where or case.secret.encode().decode("latin-1") in where]


@pytest.fixture
def run(place: Place, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sends what runs of this process say, and keeps it."""
    with Collector() as collector:
        fly_to(place.env(collector, SYNAPSE_OTEL_KEEP_DELIVERED="true"), monkeypatch)
        yield collector


@pytest.mark.parametrize("shipper", ["thread"])
def test_a_credential_is_nowhere_in_what_is_sent_shown_or_said(
    run: Collector, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Of each of the corpus, in any place of any call, nothing is in requests, commands, reports or notices."""
    caplog.set_level(logging.DEBUG)
    with RuntimeContext.open("job", "run") as ctx:
        for case in SECRETS:
            say_everywhere(ctx, case)
        assert ctx.flush(60)
    assert ctx.report().dropped == ctx.report().dead_lettered == 0
    found = {"sent": sent(run), "shown": shown(place.directory), "said": caplog.text}
    # What is as short as a word may stand anywhere.
    long = [case for case in SECRETS if len(case.secret) > 5]
    assert {where: leaked(text, long) for where, text in found.items()} == {where: [] for where in found}
    assert "[REDACTED]" in found["sent"]


@pytest.mark.parametrize("shipper", ["agent"])
def test_credentials_that_name_a_job_a_run_or_a_resource_stay_here(
    run: Collector, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job, a run and a resource attribute called by a credential are sent and shown without it."""
    some = NAMEABLE[:: len(NAMEABLE) // 12]
    for case in some:
        pairs = {"note": case.text, "password": WORD, "my.api_key": WORD, "plain": "here"}
        monkeypatch.setenv(
            "OTEL_RESOURCE_ATTRIBUTES", ",".join(f"{key}={quote(value)}" for key, value in pairs.items())
        )
        with RuntimeContext.open(case.text, case.text) as ctx:
            ctx.log_message("hello")
            ctx.set_metrics({"a": 1}, "b")
            assert ctx.flush(60)
    found = {"sent": sent(run), "shown": shown(place.directory)}
    assert {where: leaked(text, some) for where, text in found.items()} == {where: [] for where in found}
    assert {where: WORD in text for where, text in found.items()} == dict.fromkeys(found, False)
    assert {log.resource["plain"] for log in run.logs} == {"here"}
    jobs = {log.resource["job_id"] for log in run.logs}
    assert (
        {point.attributes["job_id"] for point in run.points} == {span.resource["job_id"] for span in run.spans} == jobs
    )


@pytest.mark.parametrize("shipper", ["thread"])
def test_a_value_under_a_secret_key_is_not_on_the_disk(run: Collector, place: Place) -> None:
    """Values under keys that name secrets are replaced at the call, at any depth, in every kind of record."""

    def report(before: Any, after: Any) -> None:
        for data in UNDER_KEYS:
            around = {"before": before, **data, "after": [after, data]}
            ctx.log("event", around)
            ctx.log_dev_event("dev event", around)
            ctx.set_metrics(around, "metrics")

    harmless = st.recursive(
        st.none() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    )
    with RuntimeContext.open("job", "run") as ctx:
        settings(batched, max_examples=20)(given(harmless, harmless)(report))()
        assert ctx.flush(60)
    files = {path: path.read_bytes() for path in place.journal_dir.rglob("*") if path.is_file()}
    assert any(path.suffix == ".seg" for path in files)
    assert [path.name for path, content in files.items() if WORD.encode() in content] == []
    assert WORD not in sent(run)


@pytest.mark.parametrize("shipper", ["thread"])
def test_a_number_is_a_sample_whatever_its_key(run: Collector) -> None:
    """Metrics called `token`, nested ones too, are numbers and no secrets: they arrive."""
    with RuntimeContext.open("job", "run") as ctx:
        ctx.set_metrics({"token": 0.5, "loss": {"token": 0.25, "password": WORD}}, "training")
        assert ctx.flush(60)
    values = {
        point.attributes["synapse.metric.key"]: point.value
        for point in run.points
        if "synapse.metric.key" in point.attributes
    }
    assert values == {"token": 0.5, "loss.token": 0.25}
    assert WORD not in sent(run)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_what_the_export_is_configured_with_is_in_no_notice_and_no_file(
    protocol: str, place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Headers, and passwords in URLs, are never said nor written, though the collector itself repeats them."""
    header, password = (
        "hdr" + WORD,
        "pwd" + WORD if protocol != "grpc" else "none",
    )  # whose addresses have no place for one
    caplog.set_level(logging.DEBUG, "synapse_otel")
    with Collector(headers={"x-tenant": header}) as collector:
        fly_to(place.env(collector, protocol), monkeypatch)
        url = urlsplit(collector.env(protocol)["OTEL_EXPORTER_OTLP_ENDPOINT"])  # type: ignore[arg-type]  # values by name
        if protocol != "grpc":
            address = f"{url.scheme}://user:{password}@{url.netloc}"
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv("SYNAPSE_OTEL_FINISH_TIMEOUT", "0.5")
        echo = f"who is x-tenant {header} or user:{password}?"
        faults = [
            Status(401, message=echo),
            Status(503, body=echo.encode()),
            Redirect(f"http://a:{password}@localhost/?k={header}"),
        ]
        for signal, fault in zip(("traces", "metrics", "logs"), itertools.cycle(faults)):
            collector.fail(fault, signal=signal)  # type: ignore[arg-type]  # values by name
        with RuntimeContext.open("job", "run") as ctx:
            ctx.log_message("hello")
            ctx.set_metrics({"a": 1}, "b")
            assert collector.wait_for(lambda found: len({one.signal for one in found.requests if one.status}) == 3, 30)
            assert not ctx.flush(0.5)
        collector.heal()
        collector.fail(Status(400, message=echo))
        with (place.directory / "output").open("w") as output:
            for command in (["push", "--timeout", "1"], ["doctor"], ["runs"], ["show", "job"]):
                outcome(command, output)
        files = [path for path in place.directory.rglob("*") if path.is_file()]
        found = {path.name: path.read_bytes().decode("latin-1") for path in files} | {"said": caplog.text}
    assert [where for where, text in found.items() if header in text or "pwd" + WORD in text] == []
    assert {request.status for request in collector.requests} > {400}
