"""What carries the items of one signal out of the process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from synapse_otel.export.outcome import Outcome
from synapse_otel.export.own_secrets import OwnSecrets
from synapse_otel.export.settings import Signal, SignalSettings, shown

if TYPE_CHECKING:
    from synapse_otel.projection.resource import Origin


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


def exporters(settings: dict[Signal, SignalSettings]) -> dict[Signal, Exporter]:
    """Return an exporter for each signal that is sent."""
    return {signal: _exporter(wanted) for signal, wanted in settings.items() if wanted.exporter != "none"}


def import_what_sends(settings: dict[Signal, SignalSettings]) -> None:
    """Import what sending with `settings` needs, if anything is sent, in the thread that asks.

    Never in the shipper's thread: a process that forks while a thread imports leaves the child with a lock on the
    module that nobody gives back, and the child, our own or the plugin's, hangs when it imports the same.
    """
    if all(wanted.exporter == "none" for wanted in settings.values()):
        return
    import synapse_otel.export.console_exporter
    import synapse_otel.export.otlp_exporter
    import synapse_otel.projection.logs
    import synapse_otel.projection.metrics
    import synapse_otel.projection.spans

    protocols = {wanted.protocol for wanted in settings.values() if wanted.exporter == "otlp"}
    if "grpc" in protocols:
        _import_grpc()
    if "http/protobuf" in protocols:
        # The first look-up of a host and the first request import these.
        import encodings.idna  # noqa: F401  # for what it brings along
        import netrc  # noqa: F401  # for what it brings along

        import synapse_otel.export.http  # noqa: F401  # for what it brings along


def _import_grpc() -> None:
    # Its core prints each failed handshake and each GOAWAY on standard error, which is the plugin's, unless a level was
    # given when it was imported. This one is its default by its documentation; what is to be known, our log says once.
    ours = "GRPC_VERBOSITY" not in os.environ
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    import synapse_otel.export.grpc  # noqa: F401  # for what it brings along

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
    # With them come protobuf and the SDK's data model, which a process that has an agent send does without.
    if settings.exporter == "console":
        from synapse_otel.export.console_exporter import ConsoleExporter

        return ConsoleExporter(settings.signal)
    from synapse_otel.export.otlp_exporter import OtlpExporter

    place = shown(settings.endpoint).removesuffix(f"/v1/{settings.signal}")
    return OtlpExporter(settings.signal, client(settings), place, hidden=OwnSecrets(settings).hidden)
