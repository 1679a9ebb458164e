"""What can be configured: OpenTelemetry's own variables, and ours under ``SYNAPSE_OTEL_``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

import platformdirs
from opentelemetry.util.re import parse_env_headers
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

Signal: TypeAlias = Literal["traces", "metrics", "logs"]
SIGNALS: Final[tuple[Signal, ...]] = ("traces", "metrics", "logs")

Protocol: TypeAlias = Literal["http/protobuf", "grpc"]
_PREFIX: Final = "SYNAPSE_OTEL_"
_DEFAULT_PORT: Final[dict[str, int]] = {"http/protobuf": 4318, "grpc": 4317}


class SettingsError(ValueError):
    """A variable or argument with a value that cannot be used; the message names it."""


class TelemetrySettings(BaseSettings):
    """What is ours to configure: arguments, else ``SYNAPSE_OTEL_<NAME>`` in the environment, else the default.

    Raises:
        SettingsError: From `load`, if a value is wrong; it names the variable.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    journal_dir: Path = Field(
        default_factory=lambda: platformdirs.user_state_path("synapse-otel") / "runs",
        description="Where journals are kept: one directory per run.",
    )
    quota_bytes: int = Field(
        default=1024**3, ge=1024**2, description="Bytes on the disk that all journals together may take."
    )
    quota_days: float = Field(default=30.0, gt=0, description="Days after which a run's journal is removed.")
    keep_delivered: bool = Field(
        default=False, description="Keep the journals of delivered runs, within the quota, for `show`."
    )
    finish_timeout: float = Field(
        default=5.0,
        ge=0,
        description="Seconds that the end of a run waits for its delivery; the rest stays journaled.",
    )
    shipper: Literal["thread", "agent", "off"] = Field(
        default="agent",
        description="Who sends: the `agent` beside the plugin, threads of its process (`thread`), nobody (`off`).",
    )
    agent_idle: float = Field(
        default=10.0, ge=0, description="Seconds without anything to do after which the agent ends."
    )
    service_version: str = Field(default="unknown", description="`service.version`: the version of the plugin.")
    redaction: bool = Field(default=True, description="Replace secrets by `[REDACTED]`.")
    redaction_patterns: tuple[str, ...] = Field(
        default=(), description="Further regular expressions whose matches are secrets (a JSON list)."
    )
    redaction_keys: tuple[str, ...] = Field(
        default=(), description="Further regular expressions of keys whose values are secrets (a JSON list)."
    )

    @classmethod
    def load(cls) -> TelemetrySettings:
        """Return the settings of the environment.

        Raises:
            SettingsError: If a variable has a wrong value; it names the variable.
        """
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            name = _PREFIX + "_".join(str(part) for part in first["loc"][:1]).upper()
            raise SettingsError(f"{name} = {first['input']!r}: {first['msg']}") from None
        except SourceError as error:
            field = next(name for name in cls.model_fields if f'"{name}"' in str(error))
            variable = _PREFIX + field.upper()
            raise SettingsError(f"{variable} = {os.environ.get(variable)!r}: expected a JSON list") from None


@dataclass(frozen=True, slots=True)
class SignalSettings:
    """Where and how one signal is sent.

    Attributes:
        signal: ``traces``, ``metrics`` or ``logs``.
        exporter: ``otlp``, ``console`` or ``none``.
        protocol: ``http/protobuf`` or ``grpc``.
        endpoint: The URL that requests go to; for gRPC the scheme says whether TLS is used.
        headers: Sent with each request.
        timeout: Seconds that a request may take.
        gzip: Whether requests are compressed.
        certificate: A file with the authorities that are trusted instead of the system's.
        client_certificate: A file with the client's certificate, for mutual TLS.
        client_key: A file with its key.
        insecure: Whether gRPC goes without TLS.
    """

    signal: Signal
    exporter: Literal["otlp", "console", "none"]
    protocol: Protocol
    endpoint: str
    headers: Mapping[str, str]
    timeout: float
    compression: Literal["none", "gzip", "deflate"]
    certificate: str | None
    client_certificate: str | None
    client_key: str | None
    insecure: bool


def signal_settings(environ: Mapping[str, str] = os.environ) -> dict[Signal, SignalSettings]:
    """Return the settings of all signals as the environment has them.

    A signal is sent where an endpoint is given or its exporter is named; otherwise its exporter is ``none``.

    Raises:
        SettingsError: If a variable has a value that OpenTelemetry does not define; it names the variable.
    """
    return {signal: _signal(environ, signal) for signal in SIGNALS}


def shown(url: str) -> str:
    """Return a URL as it may be shown: without credentials and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def sdk_disabled(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether ``OTEL_SDK_DISABLED`` turns telemetry off."""
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def metric_export_interval(environ: Mapping[str, str] = os.environ) -> float:
    """Return the seconds between two repetitions of the progress gauges, from ``OTEL_METRIC_EXPORT_INTERVAL`` (ms).

    Raises:
        SettingsError: If it is no positive number.
    """
    return _number(environ, "OTEL_METRIC_EXPORT_INTERVAL", 60_000.0) / 1000


def attribute_limits(environ: Mapping[str, str] = os.environ) -> tuple[int, int | None, int]:
    """Return how many attributes, how long a string value, and how many events on a span the environment allows.

    Raises:
        SettingsError: If a limit is no whole number of at least one.
    """
    count = _limit(environ, "OTEL_ATTRIBUTE_COUNT_LIMIT") or 128
    length = _limit(environ, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
    events = _limit(environ, "OTEL_SPAN_EVENT_COUNT_LIMIT") or 128
    return count, length, events


def _signal(environ: Mapping[str, str], signal: Signal) -> SignalSettings:
    def option(name: str) -> tuple[str, str]:
        for variable in (f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", f"OTEL_EXPORTER_OTLP_{name}"):
            if value := environ.get(variable, "").strip():
                return variable, value
        return f"OTEL_EXPORTER_OTLP_{name}", ""

    protocol = _choice(*option("PROTOCOL"), ("http/protobuf", "grpc"), "http/protobuf")
    variable, endpoint = option("ENDPOINT")
    exporter = f"OTEL_{signal.upper()}_EXPORTER"
    chosen = _choice(
        exporter, environ.get(exporter, "").strip(), ("otlp", "console", "none"), "otlp" if endpoint else "none"
    )
    url = _endpoint(variable, endpoint, protocol, signal)
    return SignalSettings(
        signal=signal,
        exporter=chosen,  # type: ignore[arg-type]  # `_choice` returned one of the literals
        protocol=protocol,  # type: ignore[arg-type]  # likewise
        endpoint=url,
        headers=parse_env_headers(option("HEADERS")[1], liberal=True),
        timeout=_number(environ, option("TIMEOUT")[0], 10.0),
        compression=_choice(*option("COMPRESSION"), ("none", "gzip", "deflate"), "none"),  # type: ignore[arg-type]  # likewise
        certificate=_file(*option("CERTIFICATE")),
        client_certificate=_file(*option("CLIENT_CERTIFICATE")),
        client_key=_file(*option("CLIENT_KEY")),
        insecure=_insecure(*option("INSECURE"), url),
    )


def _endpoint(variable: str, value: str, protocol: str, signal: Signal) -> str:
    url = value or f"http://localhost:{_DEFAULT_PORT[protocol]}"
    if protocol == "grpc" and "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        raise SettingsError(
            f"{variable} = {value!r}: expected a URL such as http://collector:{_DEFAULT_PORT[protocol]}"
        )
    if protocol == "http/protobuf" and not variable.endswith(f"_{signal.upper()}_ENDPOINT"):
        return f"{url.rstrip('/')}/v1/{signal}"
    return url


def _insecure(variable: str, value: str, url: str) -> bool:
    if url.startswith("https://"):
        return False
    return _choice(variable, value.lower(), ("true", "false"), "true") == "true"


def _choice(variable: str, value: str, allowed: tuple[str, ...], default: str) -> str:
    if not value:
        return default
    if value not in allowed:
        raise SettingsError(f"{variable} = {value!r}: expected one of {', '.join(allowed)}")
    return value


def _number(environ: Mapping[str, str], variable: str, default: float) -> float:
    value = environ.get(variable, "").strip()
    if not value:
        return default
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise SettingsError(f"{variable} = {value!r}: expected a positive number")
    return number


def _limit(environ: Mapping[str, str], variable: str) -> int | None:
    value = environ.get(variable, "").strip()
    if not value:
        return None
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise SettingsError(f"{variable} = {value!r}: expected a whole number of at least 1")
    return int(value)


def _file(variable: str, value: str) -> str | None:
    if value and not Path(value).is_file():
        raise SettingsError(f"{variable} = {value!r}: expected a file, found none")
    return value or None
