"""The doctor sends one probe of each signal, and walks the way to the collector step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from synapse_otel.cli import network
from synapse_otel.cli.diagnosis import diagnose
from synapse_otel.cli.findings import Findings
from synapse_otel.cli.network import Place, StepError
from synapse_otel.cli.probe import probe
from synapse_otel.export.exporters import Client, client
from synapse_otel.export.own_secrets import OwnSecrets
from synapse_otel.export.settings import SettingsError, SignalSettings, sdk_disabled, signal_settings

_LOCAL = {"localhost", "127.0.0.1", "::1"}
_LONGEST_REQUEST = 10.0


def check_signals(findings: Findings, journal_dir: Path) -> None:
    """Say of each signal whether it arrives, or where it goes instead."""
    try:
        signals = signal_settings()
    except SettingsError:
        return  # said already
    if sdk_disabled():
        findings.section("Collector")
        findings.warn("off", "OTEL_SDK_DISABLED is true: nothing is recorded and nothing is sent")
        return
    if all(settings.exporter == "none" for settings in signals.values()):
        findings.section("Collector")
        findings.plain(f"Nothing is sent: no endpoint is configured. Runs are kept in {journal_dir}.")
        findings.plain("To send them: export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318")
        findings.plain("              synapse-otel push")
        return
    walked: dict[tuple[object, ...], bool] = {}
    for settings in signals.values():
        _check(settings, findings, walked)


def _check(settings: SignalSettings, findings: Findings, walked: dict[tuple[object, ...], bool]) -> None:
    if settings.exporter != "otlp":
        findings.section(settings.signal.capitalize())
        variable = f"OTEL_{settings.signal.upper()}_EXPORTER"
        findings.plain("printed on standard output" if settings.exporter == "console" else f"not sent: {variable}=none")
        return
    findings.section(settings.signal.capitalize(), f"{settings.endpoint} ({settings.protocol})")
    to = network.place(settings)
    if to.proxy_variable:
        findings.warn("proxy", f"{to.proxy_variable} is in between: {to.host}:{to.port}")
    elif _is_exposed(settings):
        findings.warn("secrecy", "headers go to another machine without encryption", "Use an https:// endpoint.")
    way = (to, network.uses_tls(settings), settings.protocol, settings.certificate, settings.client_certificate)
    if way not in walked:
        walked[way] = _walk(settings, to, findings)
    elif not walked[way]:
        findings.skipped("request", "not tried: the way there is the same")
    if walked[way]:
        _send(settings, to, findings)


def _walk(settings: SignalSettings, to: Place, findings: Findings) -> bool:
    """Take the steps before the request; return whether all succeeded."""
    try:
        with findings.step("name") as step:
            addresses = network.resolve(to)
            step.found = addresses[0] if addresses == [to.host] else f"{to.host} is {', '.join(addresses)}"
        with findings.step("connection") as step:
            connection = network.connect(to)
            step.found = f"{to.host}:{to.port}"
        with connection:
            if network.uses_tls(settings) and not to.proxy_variable:
                with findings.step("TLS") as step:
                    step.found = network.handshake(connection, settings, to.host)
    except StepError:
        return False
    return True


def _send(settings: SignalSettings, to: Place, findings: Findings) -> None:
    """Send the probe."""
    hurried = replace(settings, timeout=min(settings.timeout, _LONGEST_REQUEST))
    with suppress(StepError), findings.step("request") as step, _closed(client(hurried)) as sender:
        answer = sender.send(probe(settings.signal))
        said = replace(answer, reason=OwnSecrets(settings).hidden(answer.reason))
        problem = diagnose(said, settings, to)
        if problem is not None:
            raise problem
        step.found = "sent and taken"


@contextmanager
def _closed(sender: Client) -> Iterator[Client]:
    try:
        yield sender
    finally:
        sender.close()


def _is_exposed(settings: SignalSettings) -> bool:
    host = urlsplit(settings.endpoint).hostname
    return bool(settings.headers) and not network.uses_tls(settings) and host not in _LOCAL
