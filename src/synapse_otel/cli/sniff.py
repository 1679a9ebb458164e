"""What is spoken on a port, found by speaking to it: asked when a request failed, to name the mix-up."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress

from synapse_otel.cli.network import Place

_TIMEOUT = 2.0
_HTTP1 = b"OPTIONS / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_SETTINGS_FRAME = 4


def speaks_tls(to: Place) -> bool:
    """Return whether a TLS handshake succeeds, whoever the server is."""
    with suppress(OSError), _plain(to) as connection, _unchecked().wrap_socket(connection):
        return True
    return False


def speaks_http1(to: Place, *, tls: bool) -> bool:
    """Return whether HTTP/1.1 is answered."""
    return _ask(to, _HTTP1, "http/1.1", tls=tls).startswith(b"HTTP/1.")


def speaks_http2(to: Place, *, tls: bool) -> bool:
    """Return whether HTTP/2 is answered, which gRPC is made of: with its settings."""
    answer = _ask(to, _HTTP2, "h2", tls=tls)
    return len(answer) >= 4 and answer[3] == _SETTINGS_FRAME and not answer.startswith(b"HTTP")


def _ask(to: Place, question: bytes, protocol: str, *, tls: bool) -> bytes:
    with suppress(OSError), _plain(to) as connection:
        if not tls:
            return _answer(connection, question)
        context = _unchecked()
        context.set_alpn_protocols([protocol])
        with context.wrap_socket(connection) as encrypted:
            return _answer(encrypted, question)
    return b""


def _answer(connection: socket.socket, question: bytes) -> bytes:
    connection.sendall(question)
    answer = b""
    while len(answer) < 9 and (more := connection.recv(64)):
        answer += more
    return answer


def _plain(to: Place) -> socket.socket:
    connection = socket.create_connection((to.host, to.port), timeout=_TIMEOUT)
    connection.settimeout(_TIMEOUT)
    return connection


def _unchecked() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is only asked what is spoken; nothing of ours is sent
    return context
