"""The gateway lets no credential through that it can tell by its looks, and touches nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends import arrivals
from backends.arrivals import Arrived
from backends.otelcol import GatewayFiles, gateway_before
from projection.corpus_harmless import HARMLESS
from projection.corpus_secrets import SECRETS
from synapse_otel import RuntimeContext
from synapse_otel.projection.redaction import Redactor
from synapse_otel.testing import Collector

BEYOND_THE_GATEWAY = {
    "basic alone",
    "digest response",
    "cookie header",
    "set-cookie header",
    "aws secret key in context",
    "google refresh token",
    "azure client secret",
    "discord bot token",
    "telegram url",
    "twilio api key",
    "mailgun key",
    "wandb key in context",
    "heroku key",
    "square token",
    "notion token, old",
    "sentry dsn",
    "aws v4 header signature",
    "PASSWORD: of letters",
    "password in json",
    "password with a comma",
    "odbc password",
    "--token xyz",
    "api key in words",
    "curl",
    "netrc",
    "sshpass",
}
"""What takes more than a regular expression without look-around, or tells nothing by itself: our own redaction's."""


@pytest.fixture
def files(tmp_path: Path) -> GatewayFiles:
    return GatewayFiles.create(tmp_path / "files", "127.0.0.1")


def report_credentials(ctx: RuntimeContext, secret: str) -> None:
    """Put it wherever a value can stand."""
    with ctx.step("upload"):
        ctx.log_message(f"uploading with {secret}", "danger")
        ctx.log("uploaded", {"note": secret, "nested": {"list": [secret, 1]}, "count": 3}, file=f"/data/{secret}")
        ctx.log_dev_event(secret, {"password": "of letters only", "password_set": True})
        ctx.set_progress(1, 2, secret)
        raise OSError(f"denied for {secret}")


def test_credentials_are_masked_everywhere(
    otelcol: Path, files: GatewayFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another sender lets out reaches no backend: attributes of all signals, bodies, resources, statuses."""
    secret = "gh" + "p_" + "Zq7wK3xP9fTb" * 3
    with Collector() as far_end, gateway_before(far_end, otelcol, files, tmp_path) as between:
        environ = {"SYNAPSE_OTEL_REDACTION": "false", "OTEL_RESOURCE_ATTRIBUTES": f"deployment.note={secret}"}
        with arrivals.pointed(monkeypatch, **between.env("grpc"), **environ), RuntimeContext.open("job-1") as ctx:
            with pytest.raises(OSError, match="denied"):
                report_credentials(ctx, secret)
            assert ctx.flush(20)
        reported = {"synapse.message", "uploaded", "synapse.dev_event"}
        far_end.wait_for(lambda c: reported <= {log.event_name for log in c.logs}, 20)
        far_end.wait_for(lambda c: c.span("run") and c.points_of("synapse.progress.current"), 20)
        arrived = arrivals.at(far_end)
    written = arrived.written()

    assert [text for kind in written for text in kind if secret in text] == []
    assert {item.resource["deployment.note"] for item in (*arrived.spans, *arrived.logs, *arrived.points)} == {"****"}
    logs = {log.event_name: log for log in arrived.logs}
    assert logs["synapse.message"].body == "uploading with ****"
    assert logs["uploaded"].attributes["note"] == "****"
    assert logs["uploaded"].attributes["count"] == 3
    assert logs["uploaded"].attributes["nested"] == '{"list":["****",1]}'
    assert logs["synapse.dev_event"].attributes["password"] == "****"
    assert logs["synapse.dev_event"].attributes["password_set"] is True
    upload = far_end.span("upload")
    assert upload.status_message == "OSError: denied for ****"
    assert [name for span in far_end.spans for name in span.attributes if name.startswith("gateway.")] == []
    assert far_end.span("****").attributes["synapse.category"] == "****"  # the phase of a category
    assert {point.attributes["synapse.category"] for point in far_end.points_of("synapse.progress.current")} == {"****"}


def bodies(arrived: Arrived, job: str) -> list[str]:
    """The messages of a job as they were reported, one after the other."""
    logs = arrived.of(job).logs
    return [log.body for log in sorted(logs, key=lambda log: int(log.attributes["log.record.uid"].split("-")[-1]))]


def test_what_is_harmless_or_marked_already_is_not_touched(
    otelcol: Path, files: GatewayFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all the texts that our own redaction is tested with, only credentials change, and of those none is whole."""
    redact = Redactor().text
    with Collector() as far_end, gateway_before(far_end, otelcol, files, tmp_path) as between:
        with arrivals.pointed(monkeypatch, **between.env("grpc")):
            with RuntimeContext.open("redacted") as ctx:
                for text in (*HARMLESS.values(), *(case.text for case in SECRETS)):
                    ctx.log_message(text)
            monkeypatch.setenv("SYNAPSE_OTEL_REDACTION", "false")
            with RuntimeContext.open("plain") as ctx:
                for case in SECRETS:
                    ctx.log_message(case.text)
        far_end.wait_for(lambda c: len(c.messages) == len(HARMLESS) + 2 * len(SECRETS), 20)
        arrived = arrivals.at(far_end)

    assert bodies(arrived, "redacted") == [*HARMLESS.values(), *(redact(case.text) for case in SECRETS)]
    passed = zip(SECRETS, bodies(arrived, "plain"), strict=True)
    assert {case.name for case, body in passed if case.secret in body} == BEYOND_THE_GATEWAY
