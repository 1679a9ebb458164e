"""OTLP over gRPC, on grpcio."""

import socket
import time
from threading import Event
from typing import Any, NoReturn, cast

import grpc

from synapse_otel.testing.answers import Answer, too_large
from synapse_otel.testing.ports import HOST
from synapse_otel.testing.receiver import Incoming, Receiver
from synapse_otel.testing.status_body import retry_info, status_message
from synapse_otel.testing.threads import Threads
from synapse_otel.testing.tls import ServerTLS

CLOSE_SECONDS = 2.0  # all of it only while a child that was forked meanwhile holds a copy of the port
JOIN_SECONDS = 5.0
POLL_SECONDS = 0.01
# Up to so many times the limit, a request is noted and refused by us; beyond, gRPC itself refuses it in the same words.
HEADROOM = 4

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED,
    405: grpc.StatusCode.UNIMPLEMENTED,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.UNAVAILABLE,
    500: grpc.StatusCode.INTERNAL,
    501: grpc.StatusCode.UNIMPLEMENTED,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.UNAVAILABLE,
}
"""The gRPC status that stands for an HTTP status; UNKNOWN for all others."""


class GrpcFront:
    """Serves gRPC on a port until it is stopped.

    Args:
        receiver: Decides on requests.
        port: The port on the loopback interface.
        limit: The most bytes that a decompressed request may have.
        tls: The certificate; `None` for plain text.
    """

    def __init__(self, receiver: Receiver, port: int, limit: int, tls: ServerTLS | None) -> None:
        self._port = port
        self._stopping = Event()
        self._threads = Threads()
        self._server = grpc.server(
            cast(Any, self._threads),  # an Executor, of which grpcio needs submit() alone
            handlers=[_Export(receiver, limit, self._stopping)],
            # Not shared: a server that is going away would take connections meant for the next one.
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", HEADROOM * limit)],
        )
        self._bind(tls)
        self._server.start()

    def stop(self) -> None:
        """Close the port and all connections, and wait for their threads."""
        self._stopping.set()
        self._server.stop(None).wait(CLOSE_SECONDS)
        deadline = time.monotonic() + CLOSE_SECONDS
        while _listening(self._port) and time.monotonic() < deadline:  # gRPC closes it a moment later
            time.sleep(POLL_SECONDS)
        self._threads.join(JOIN_SECONDS)

    def _bind(self, tls: ServerTLS | None) -> None:
        address = f"{HOST}:{self._port}"
        if tls is None:
            self._server.add_insecure_port(address)
        else:
            self._server.add_secure_port(address, tls.credentials())


class _Export(grpc.GenericRpcHandler):
    """All methods in one, on raw bytes: what was received is seen byte for byte, and unknown services are noted."""

    def __init__(self, receiver: Receiver, limit: int, stopping: Event) -> None:
        self._receiver = receiver
        self._limit = limit
        self._stopping = stopping

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        path = handler_call_details.method

        def export(body: bytes, context: grpc.ServicerContext) -> bytes:
            return self._export(path, body, context)

        return grpc.unary_unary_rpc_method_handler(export)

    def _export(self, path: str, body: bytes, context: grpc.ServicerContext) -> bytes:
        headers = {name: _text(value) for name, value in context.invocation_metadata()}
        answer = self._receiver.handle(Incoming("grpc", path, headers, lambda: self._checked(body), self._wait))
        if answer.status != 200 or answer.cut:
            _abort(answer, context)
        return answer.body or b""

    def _checked(self, body: bytes) -> bytes:
        if len(body) > self._limit:
            raise too_large(len(body), self._limit)
        return body

    def _wait(self, seconds: float | None) -> bool:
        return not self._stopping.wait(seconds)


def _abort(answer: Answer, context: grpc.ServicerContext) -> NoReturn:
    if answer.status is None or answer.cut:
        context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
    code = CODES.get(answer.status, grpc.StatusCode.UNKNOWN)
    if answer.grpc_code is not None:
        code = grpc.StatusCode[answer.grpc_code]
    seconds = answer.retry_seconds()
    if seconds is not None:
        context.set_trailing_metadata(
            (
                ("google.rpc.retryinfo-bin", retry_info(seconds)),
                ("grpc-status-details-bin", status_message(code.value[0], answer.message, seconds)),
            )
        )
    context.abort(code, answer.message)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.hex()


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
