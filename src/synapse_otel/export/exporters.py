"""What carries the items of one signal out of the process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from synapse_otel.export.encode import encode, metrics_data
from synapse_otel.export.outcome import DELIVERED, Outcome, Verdict
from synapse_otel.export.own_secrets import OwnSecrets
from synapse_otel.export.settings import Signal, SignalSettings, shown
from synapse_otel.projection.resource import Origin

MAX_REQUEST = 4 * 1024 * 1024 - 64 * 1024
"""Bytes of the largest request, before compression: gRPC receivers take 4 MiB by default, framing included."""


class Exporter(Protocol):
    """Encodes items of one signal and sends what it encoded.

    Attributes:
        place: Where to, in words; the same for signals that go to the same place.
    """

    place: str

    def encode(self, items: Sequence[Any], origin: Origin) -> bytes:
        """Return `items` as they are sent."""

    def send(self, body: bytes) -> Outcome:
        """Send what `encode` returned and say what became of it."""

    def close(self) -> None:
        """Let connections go."""


class Client(Protocol):
    """Sends encoded requests: `http.HttpClient`, `grpc.GrpcClient`."""

    def send(self, body: bytes) -> Outcome:
        """Send one request and say what became of it."""

    def close(self) -> None:
        """Let the connection go."""


class OtlpExporter:
    """Sends OTLP requests through a client, and never one that is too large.

    Args:
        signal: What is sent.
        client: Sends it.
        place: Where to, in words.
        max_request: Bytes that a request may have.
        hidden: Takes out of an answer what nobody may see.
    """

    def __init__(
        self,
        signal: Signal,
        client: Client,
        place: str,
        max_request: int = MAX_REQUEST,
        hidden: Callable[[str], str] = str,
    ) -> None:
        self._signal = signal
        self._hidden = hidden
        self.place = place
        self._client = client
        self._max_request = max_request

    def encode(self, items: Sequence[Any], origin: Origin) -> bytes:
        """Return the OTLP request that carries `items`."""
        return encode(self._signal, items, origin)

    def send(self, body: bytes) -> Outcome:
        """Send a request."""
        if len(body) > self._max_request:
            return Outcome(Verdict.REFUSED, f"a request of {len(body)} bytes, expected at most {self._max_request}")
        try:
            outcome = self._client.send(body)
            return replace(outcome, reason=self._hidden(outcome.reason)) if outcome.reason else outcome
        except Exception as error:  # noqa: BLE001  # a certificate that was taken away, a header that cannot be sent
            return Outcome(Verdict.RETRY, f"sending failed with {type(error).__name__}")

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()


class ConsoleExporter:
    """Prints items as JSON, one after another, as the SDK's console exporters do."""

    place = "standard output"

    def __init__(self, signal: Signal) -> None:
        self._signal = signal

    def encode(self, items: Sequence[Any], origin: Origin) -> bytes:
        """Return `items` as JSON."""
        if self._signal == "metrics":
            return metrics_data(items, origin).to_json().encode()
        return "\n".join(item.to_json() for item in items).encode()

    def send(self, body: bytes) -> Outcome:
        """Print what was encoded."""
        try:
            sys.stdout.write(body.decode() + "\n")
            sys.stdout.flush()
        except (OSError, ValueError) as error:
            return Outcome(Verdict.RETRY, f"standard output: {error}")
        return DELIVERED

    def close(self) -> None:
        """Nothing to let go."""


def exporters(settings: dict[Signal, SignalSettings]) -> dict[Signal, Exporter]:
    """Return an exporter for each signal that is sent."""
    return {signal: _exporter(wanted) for signal, wanted in settings.items() if wanted.exporter != "none"}


def import_clients(settings: dict[Signal, SignalSettings]) -> None:
    """Import what sending with `settings` needs, in the thread that asks.

    Never in the shipper's thread: a process that forks while a thread imports leaves the child with a lock on the
    module that nobody gives back, and the child, our own or the plugin's, hangs when it imports the same.
    """
    protocols = {wanted.protocol for wanted in settings.values() if wanted.exporter == "otlp"}
    if "grpc" in protocols:
        _import_grpc()
    if "http/protobuf" in protocols:
        # The first look-up of a host and the first request import these.
        import encodings.idna  # noqa: F401
        import netrc  # noqa: F401

        import synapse_otel.export.http  # noqa: F401


def _import_grpc() -> None:
    # Its core prints each failed handshake and each GOAWAY on standard error, which is the plugin's, unless a level was
    # given when it was imported. This one is its default by its documentation; what is to be known, our log says once.
    ours = "GRPC_VERBOSITY" not in os.environ
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    import synapse_otel.export.grpc  # noqa: F401

    if ours:
        del os.environ["GRPC_VERBOSITY"]


def client(settings: SignalSettings) -> Client:
    """Return a client for the protocol of `settings`; gRPC is imported only where it is used."""
    if settings.protocol == "grpc":
        from synapse_otel.export.grpc import GrpcClient

        return GrpcClient(settings)
    from synapse_otel.export.http import HttpClient

    return HttpClient(settings)


def _exporter(settings: SignalSettings) -> Exporter:
    if settings.exporter == "console":
        return ConsoleExporter(settings.signal)
    place = shown(settings.endpoint).removesuffix(f"/v1/{settings.signal}")
    return OtlpExporter(settings.signal, client(settings), place, hidden=OwnSecrets(settings).hidden)
