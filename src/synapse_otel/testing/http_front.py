"""OTLP over HTTP, on the server of the standard library."""

import socket
import ssl
import sys
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Event, Lock, Thread
from typing import Any

from synapse_otel.testing.answers import Answer, Gone, Refused, too_large
from synapse_otel.testing.compression import decompress
from synapse_otel.testing.ports import HOST
from synapse_otel.testing.receiver import Incoming, Receiver
from synapse_otel.testing.status_body import status_message
from synapse_otel.testing.threads import Threads
from synapse_otel.testing.tls import ServerTLS

HANDSHAKE_SECONDS = 10.0
POLL_SECONDS = 0.02  # how long stop() waits for the accepting loop to notice
JOIN_SECONDS = 5.0
# What is read and thrown away so that a sender sees the answer: a socket closed with unread data resets the connection.
MAX_DRAINED_BYTES = 64 * 2**20
_CHUNK = 2**16


class HttpFront:
    """Serves HTTP on a port until it is stopped.

    Args:
        receiver: Decides on requests.
        port: The port on the loopback interface.
        limit: The most bytes that a decompressed body may have.
        tls: The certificate; `None` for plain HTTP.
    """

    def __init__(self, receiver: Receiver, port: int, limit: int, tls: ServerTLS | None) -> None:
        self._stopping = Event()
        self._server = _Server(port, partial(_Handler, receiver, limit, self._stopping), tls)
        self._thread = Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="otlp-collector-http", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close the port and all connections, and wait for their threads."""
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        _shut(self._server.socket)  # closing alone leaves it open in a child that was forked meanwhile
        self._server.server_close()
        self._server.hang_up()


class _Server(ThreadingHTTPServer):
    block_on_close = False  # it keeps no list of daemon threads; ours is in `_workers`
    request_queue_size = 128

    def __init__(self, port: int, handler: Any, tls: ServerTLS | None) -> None:
        self._context = tls.context() if tls else None
        self._workers = Threads()
        self._lock = Lock()
        self._connections: set[socket.socket] = set()
        super().__init__((HOST, port), handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own asks the DNS for the name of the host
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._context is not None:
            request = self._context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._connections.add(request)
        self._workers.submit(self.process_request_thread, request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if isinstance(request, ssl.SSLSocket):  # here, in the connection's own thread, a slow client holds up nobody
            request.settimeout(HANDSHAKE_SECONDS)
            request.do_handshake()
            request.settimeout(None)
        super().finish_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # clients that go away and handshakes that fail are daily business
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        with self._lock:
            for connection in self._connections:
                _shut(connection)
        self._workers.join(JOIN_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: apart, Nagle and delayed ACK cost 40 ms per answer
    disable_nagle_algorithm = True

    def __init__(self, receiver: Receiver, limit: int, stopping: Event, *args: Any) -> None:
        self._receiver = receiver
        self._limit = limit
        self._stopping = stopping
        self._unread = 0
        super().__init__(*args)

    def do_POST(self) -> None:
        """Receive one request."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = headers.get("content-length", "")
        self._unread = int(length) if length.isdecimal() else 0
        path = self.path.partition("?")[0]
        answer = self._receiver.handle(
            Incoming("http/protobuf", path, headers, partial(self._body, headers), self._wait)
        )
        if answer.status is None or self._stopping.is_set():
            self._hang_up()
        else:
            self._drain()
            self._send(answer)

    def do_GET(self) -> None:
        """Refuse: OTLP is posted."""
        self._send(Answer(405, message="only POST is served", headers={"Allow": "POST"}))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # what the base class calls it
        """Be silent."""

    def _body(self, headers: dict[str, str]) -> bytes:
        if not headers.get("content-length", "").isdecimal():
            raise Refused(411, "Content-Length is required")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-protobuf":
            raise Refused(415, f"Content-Type {kind!r} is not application/x-protobuf")
        if self._unread > self._limit + _CHUNK:  # what cannot be compressed grows a little
            raise too_large(self._unread, self._limit)
        return decompress(self._read(), headers.get("content-encoding", ""), self._limit)

    def _read(self) -> bytes:
        try:
            body = self.rfile.read(self._unread)
        except OSError as error:
            raise Gone from error
        if len(body) < self._unread:
            raise Gone
        self._unread = 0
        return body

    def _wait(self, seconds: float | None) -> bool:
        return not self._stopping.wait(seconds)

    def _drain(self) -> None:
        if self._unread > MAX_DRAINED_BYTES or "chunked" in self.headers.get("transfer-encoding", "").lower():
            self.close_connection = True
            return
        while self._unread > 0 and (chunk := self.rfile.read(min(self._unread, _CHUNK))):
            self._unread -= len(chunk)

    def _send(self, answer: Answer) -> None:
        assert answer.status is not None
        body = answer.body
        if body is None:
            body = b"" if answer.status == 200 else status_message(0, answer.message)
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body) + 100 * answer.cut))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.retry_after is not None:
            self.send_header("Retry-After", _retry_after(answer.retry_after))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        if answer.cut:
            self.wfile.flush()
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        _shut(self.connection)


def _retry_after(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # it may be closed already
        # The plain socket's: SSLSocket.shutdown takes the TLS state from under a thread that is reading.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
