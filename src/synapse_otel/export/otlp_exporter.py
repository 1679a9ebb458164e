"""Sends OTLP requests through a client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from synapse_otel.export.encode import encode
from synapse_otel.export.exporters import Client
from synapse_otel.export.outcome import Outcome, Verdict
from synapse_otel.export.settings import Signal
from synapse_otel.projection.resource import Origin

MAX_REQUEST = 4 * 1024 * 1024 - 64 * 1024
"""Bytes of the largest request, before compression: gRPC receivers take 4 MiB by default, framing included."""


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
