"""OTLP over gRPC."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from google.rpc.error_details_pb2 import RetryInfo

from synapse_otel.export.encode import partial_success
from synapse_otel.export.outcome import Outcome, Verdict
from synapse_otel.export.settings import Signal, SignalSettings, shown

_METHODS: dict[Signal, str] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_RETRY_INFO = "google.rpc.retryinfo-bin"
_REFUSED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
}
# Without RetryInfo a receiver that is merely busy and one that finds the message too large answer the same code.
_TOO_LARGE = ("larger than max", "too large", "message size", "exceeds maximum")


class GrpcClient:
    """Sends the requests of one signal over one channel."""

    def __init__(self, settings: SignalSettings) -> None:
        self._settings = settings
        self._place = shown(settings.endpoint)
        target = urlsplit(settings.endpoint).netloc.rpartition("@")[2]
        self._channel = (
            grpc.insecure_channel(target) if settings.insecure else grpc.secure_channel(target, _credentials(settings))
        )
        # The request is encoded already: its bytes go out as they are.
        self._export: Any = self._channel.unary_unary(_METHODS[settings.signal])
        self._compression = (
            grpc.Compression.NoCompression
            if settings.compression == "none"
            else getattr(grpc.Compression, settings.compression.capitalize())
        )

    def send(self, body: bytes) -> Outcome:
        """Send one encoded request and return what became of it; never raises for what the network does."""
        try:
            answer = self._export(
                body,
                timeout=self._settings.timeout,
                metadata=tuple((key.lower(), value) for key, value in self._settings.headers.items()),
                compression=self._compression,
            )
        except grpc.RpcError as error:
            return self._failure(error)
        partial = partial_success(self._settings.signal, answer)
        if partial is None:
            return Outcome(Verdict.RETRY, f"{self._place}: an answer that is no OTLP")
        rejected, message = partial
        return Outcome(Verdict.DELIVERED, message, rejected=rejected)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _failure(self, error: Any) -> Outcome:
        code: grpc.StatusCode = error.code()
        details = error.details() or ""
        reason = f"{self._place}: gRPC {code.name}: {details}"
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return Outcome(Verdict.UNSERVED, reason, code=code.name)
        too_large = code is grpc.StatusCode.RESOURCE_EXHAUSTED and any(text in details.lower() for text in _TOO_LARGE)
        if code in _REFUSED or too_large:
            return Outcome(Verdict.REFUSED, reason, code=code.name)
        return Outcome(Verdict.RETRY, reason, _retry_delay(error), code=code.name)


def _retry_delay(error: Any) -> float | None:
    for key, value in error.trailing_metadata() or ():
        if key == _RETRY_INFO:
            info = RetryInfo()
            try:
                info.ParseFromString(value)
            except Exception:  # noqa: BLE001  # protobuf raises different errors by implementation
                return None
            return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    return None


def _credentials(settings: SignalSettings) -> grpc.ChannelCredentials:
    def content(file: str | None) -> bytes | None:
        return Path(file).read_bytes() if file else None

    return grpc.ssl_channel_credentials(
        root_certificates=content(settings.certificate),
        private_key=content(settings.client_key),
        certificate_chain=content(settings.client_certificate),
    )
