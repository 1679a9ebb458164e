"""What the answer to a probe means, in words, and how to mend it."""

from __future__ import annotations

from urllib.parse import urlsplit

from synapse_otel.cli import sniff
from synapse_otel.cli.network import Place, StepError, configured, uses_tls
from synapse_otel.export.outcome import Outcome, Verdict
from synapse_otel.export.settings import SignalSettings, shown

_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
_USUAL = "usual is authorization, with the value Bearer%20TOKEN"
_BUSY = "The server has a problem of its own, or is busy; records are kept and sent later."
_UNANSWERED = {"UNAVAILABLE", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED"}


def diagnose(outcome: Outcome, settings: SignalSettings, to: Place) -> StepError | None:
    """Return what is wrong according to the answer of a probe; None where nothing is.

    Args:
        outcome: What became of the probe.
        settings: How it was sent.
        to: Where it connected to, to ask what is spoken there.
    """
    if outcome.verdict is Verdict.DELIVERED:
        return _rejected(outcome) if outcome.rejected else None
    said = outcome.reason.removeprefix(f"{shown(settings.endpoint)}: ")
    if isinstance(outcome.code, int):
        unencrypted = _unencrypted(settings, to) if outcome.code == 400 else None  # Go and nginx answer in plain text
        return unencrypted or _http(outcome.code, said, settings)
    if outcome.code and outcome.code not in _UNANSWERED:
        return _grpc(outcome.code, said, settings)
    return _mixed_up(settings, to) or _unanswered(outcome, said)


def _unanswered(outcome: Outcome, said: str) -> StepError:
    if outcome.code == "UNAVAILABLE":
        return StepError(said, _BUSY)
    return StepError(said if outcome.code else f"no answer: {said}", "The server's own log may say more.")


def _rejected(outcome: Outcome) -> StepError:
    why = f": {outcome.reason}" if outcome.reason else ""
    return StepError(f"the server answers with success, but rejects the record{why}")


def _http(status: int, said: str, settings: SignalSettings) -> StepError:
    if status in {401, 403, 407}:
        return StepError(said, _credentials(settings))
    if status in {404, 405, 501}:
        return StepError(
            f"HTTP {status}: {settings.signal} are not served at {shown(settings.endpoint)}", _path(settings)
        )
    if 300 <= status < 400:
        return StepError(said, "Redirects are not followed: set the endpoint to where it leads.")
    if status == 413:
        return StepError(said, "The server takes almost nothing: look at its limit of a request's size.")
    if status == 415:
        return StepError(said, "It is no OTLP receiver for protobuf; set OTEL_EXPORTER_OTLP_PROTOCOL, or its address.")
    if status in {408, 429} or status >= 500:
        return StepError(said, _BUSY)
    return StepError(said, "The server understood the address, but not the content; its log may say more.")


def _grpc(status: str, said: str, settings: SignalSettings) -> StepError:
    if status in {"UNAUTHENTICATED", "PERMISSION_DENIED"}:
        return StepError(said, _credentials(settings))
    if status == "UNIMPLEMENTED":
        hint = f"The server speaks gRPC, but has no OTLP service for {settings.signal}.{_switch_off(settings)}"
        return StepError(said, hint)
    if status == "RESOURCE_EXHAUSTED":
        return StepError(said, "The server is busy or takes almost nothing; look at its limits.")
    return StepError(said, "The server's own log may say more.")


def _credentials(settings: SignalSettings) -> str:
    if not settings.headers:
        return f"No header is sent; set {_HEADERS} to the one that the server asks for; {_USUAL}"
    if " " not in settings.headers.get("authorization", " "):
        return f"{_HEADERS} sends authorization without a scheme; {_USUAL}"
    names = ", ".join(sorted(settings.headers))
    return f"The server does not accept the credentials; {_HEADERS} sends: {names}. Complete, and not expired?"


def _path(settings: SignalSettings) -> str:
    own, signal = f"OTEL_EXPORTER_OTLP_{settings.signal.upper()}_ENDPOINT", settings.signal
    path = urlsplit(settings.endpoint).path
    if path.count("/v1/") > 1:
        return f"OTEL_EXPORTER_OTLP_ENDPOINT takes the base URL: /v1/{signal} is added to it."
    if not path.endswith(f"/v1/{signal}"):
        return f"{own} is used as it is: the path is usually /v1/{signal}"
    return f"Is it the base URL of an OTLP receiver?{_switch_off(settings)}"


def _switch_off(settings: SignalSettings) -> str:
    return f" If it takes no {settings.signal}: OTEL_{settings.signal.upper()}_EXPORTER=none"


def _mixed_up(settings: SignalSettings, to: Place) -> StepError | None:
    """Return which protocol is spoken on the port instead, if it is another one."""
    if to.proxy_variable:
        return StepError(f"the proxy of {to.proxy_variable} gives no answer", "NO_PROXY names hosts without one.")
    if unencrypted := _unencrypted(settings, to):
        return unencrypted
    tls = uses_tls(settings)
    if settings.protocol == "grpc" and sniff.speaks_http1(to, tls=tls):
        return StepError(
            f"port {to.port} speaks HTTP, and the request is gRPC",
            "Set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or the endpoint to the gRPC port, which is usually 4317.",
        )
    if settings.protocol == "http/protobuf" and sniff.speaks_http2(to, tls=tls):
        return StepError(
            f"port {to.port} speaks gRPC, and the request is HTTP",
            "Set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or the endpoint to the HTTP port, which is usually 4318.",
        )
    return None


def _unencrypted(settings: SignalSettings, to: Place) -> StepError | None:
    """Return that TLS is spoken on the port and the request is in plain text, if so."""
    if to.proxy_variable or uses_tls(settings) or not sniff.speaks_tls(to):
        return None
    secure = configured(settings).replace("http://", "https://", 1)
    return StepError(f"port {to.port} speaks TLS, and the request is not encrypted", f"Set the endpoint to {secure}")
