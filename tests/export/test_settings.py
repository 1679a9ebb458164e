"""The standard variables mean what OpenTelemetry says, ours what their description says, wrong values are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from synapse_otel.export.settings import (
    SettingsError,
    SignalSettings,
    TelemetrySettings,
    attribute_limits,
    metric_export_interval,
    sdk_disabled,
    signal_settings,
)


def test_without_an_endpoint_nothing_is_sent() -> None:
    """No endpoint and no exporter named: every signal is off."""
    assert {settings.exporter for settings in signal_settings({}).values()} == {"none"}


def test_a_common_endpoint_gets_the_signal_paths() -> None:
    """Over HTTP the common endpoint is a base URL, also with a slash at its end or a path of its own."""
    for base in ("http://collector:4318", "http://collector:4318/"):
        settings = signal_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": base})
        assert {signal: s.endpoint for signal, s in settings.items()} == {
            "traces": "http://collector:4318/v1/traces",
            "metrics": "http://collector:4318/v1/metrics",
            "logs": "http://collector:4318/v1/logs",
        }
    prefixed = signal_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://host/otlp"})
    assert prefixed["logs"].endpoint == "https://host/otlp/v1/logs"


def test_everything_of_a_signal() -> None:
    """All options of a signal, each from its own variable, which wins over the common one."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://common:1",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://own:2/as/it/is",
        "OTEL_EXPORTER_OTLP_HEADERS": "a=common",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "authorization=Bearer%20made-up,b=2",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "3",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "7.5",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
    }
    assert signal_settings(environ)["traces"] == SignalSettings(
        signal="traces",
        exporter="otlp",
        protocol="http/protobuf",
        endpoint="http://own:2/as/it/is",
        headers={"authorization": "Bearer made-up", "b": "2"},
        timeout=7.5,
        compression="gzip",
        certificate=None,
        client_certificate=None,
        client_key=None,
        insecure=True,
    )
    logs = signal_settings(environ)["logs"]
    assert (logs.endpoint, logs.headers, logs.timeout, logs.compression) == (
        "http://common:1/v1/logs",
        {"a": "common"},
        3.0,
        "none",
    )


@pytest.mark.parametrize(
    ("endpoint", "insecure_variable", "expected"),
    [
        ("http://host:4317", "", True),
        ("https://host:4317", "", False),
        ("https://host:4317", "true", False),
        ("http://host:4317", "false", False),
        ("host:4317", "", True),
    ],
)
def test_grpc_uses_tls_as_the_scheme_says(endpoint: str, insecure_variable: str, expected: bool) -> None:
    """The scheme decides; OTEL_EXPORTER_OTLP_INSECURE decides for an endpoint without TLS in its scheme."""
    settings = signal_settings(
        {
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_INSECURE": insecure_variable,
        }
    )
    assert settings["traces"].insecure is expected


def test_an_exporter_can_be_named_without_an_endpoint() -> None:
    """OTEL_TRACES_EXPORTER=otlp sends to the default endpoint of the protocol."""
    settings = signal_settings({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "console"})
    assert settings["traces"].endpoint == "http://localhost:4318/v1/traces"
    assert (settings["metrics"].exporter, settings["logs"].exporter) == ("none", "console")
    grpc = signal_settings({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert grpc["traces"].endpoint == "http://localhost:4317"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "http/json",
            "OTEL_EXPORTER_OTLP_PROTOCOL = 'http/json': expected one of http/protobuf, grpc",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "collector:4318",
            "OTEL_EXPORTER_OTLP_ENDPOINT = 'collector:4318': expected a URL such as http://collector:4318",
        ),
        (
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
            "http://h:99999",
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT = 'http://h:99999': expected a URL such as http://collector:4318",
        ),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "OTEL_EXPORTER_OTLP_TIMEOUT = 'soon': expected a positive number"),
        (
            "OTEL_EXPORTER_OTLP_COMPRESSION",
            "zstd",
            "OTEL_EXPORTER_OTLP_COMPRESSION = 'zstd': expected one of none, gzip, deflate",
        ),
        (
            "OTEL_METRICS_EXPORTER",
            "prometheus",
            "OTEL_METRICS_EXPORTER = 'prometheus': expected one of otlp, console, none",
        ),
        (
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            "nowhere.pem",
            "OTEL_EXPORTER_OTLP_CERTIFICATE = 'nowhere.pem': expected a file, found none",
        ),
    ],
)
def test_a_wrong_value_is_named(variable: str, value: str, message: str) -> None:
    """The error names the variable, the value and what was expected."""
    with pytest.raises(SettingsError) as error:
        signal_settings({variable: value})
    assert str(error.value) == message


def test_other_standard_variables() -> None:
    """The interval is in milliseconds, limits are whole numbers, and the SDK is disabled by `true` in any case."""
    assert metric_export_interval({}) == 60.0
    assert metric_export_interval({"OTEL_METRIC_EXPORT_INTERVAL": "1500"}) == 1.5
    assert attribute_limits({}) == (128, None, 128)
    assert attribute_limits(
        {
            "OTEL_ATTRIBUTE_COUNT_LIMIT": "5",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "7",
            "OTEL_SPAN_EVENT_COUNT_LIMIT": "9",
        }
    ) == (5, 7, 9)
    assert sdk_disabled({"OTEL_SDK_DISABLED": "True"})
    assert not sdk_disabled({})
    with pytest.raises(SettingsError, match="OTEL_ATTRIBUTE_COUNT_LIMIT = '-1': expected a whole number of at least 1"):
        attribute_limits({"OTEL_ATTRIBUTE_COUNT_LIMIT": "-1"})
    with pytest.raises(SettingsError, match="OTEL_METRIC_EXPORT_INTERVAL = '0': expected a positive number"):
        metric_export_interval({"OTEL_METRIC_EXPORT_INTERVAL": "0"})


def test_ours_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SYNAPSE_OTEL_<NAME> sets each field, lists as JSON."""
    monkeypatch.setenv("SYNAPSE_OTEL_JOURNAL_DIR", str(tmp_path))
    monkeypatch.setenv("SYNAPSE_OTEL_FINISH_TIMEOUT", "1.5")
    monkeypatch.setenv("SYNAPSE_OTEL_REDACTION_PATTERNS", '["a+"]')
    settings = TelemetrySettings.load()
    assert (settings.journal_dir, settings.finish_timeout, settings.redaction_patterns) == (tmp_path, 1.5, ("a+",))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("QUOTA_BYTES", "many"),
        ("QUOTA_BYTES", "12"),
        ("FINISH_TIMEOUT", "-1"),
        ("REDACTION", "maybe"),
        ("REDACTION_KEYS", "x"),
    ],
)
def test_a_wrong_value_of_ours_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """The error names the variable and the value."""
    monkeypatch.setenv(f"SYNAPSE_OTEL_{variable}", value)
    with pytest.raises(SettingsError, match=f"SYNAPSE_OTEL_{variable}"):
        TelemetrySettings.load()


def test_every_field_is_described() -> None:
    """The README's table is generated from the descriptions, so each field has one."""
    assert all(field.description for field in TelemetrySettings.model_fields.values())
