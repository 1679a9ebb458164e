"""The cheapest receiver there is: answers 200 to every request, in a process of its own.

Its interpreter lock is not the measured process's, and it takes as little of the other core as it can: it reads the
length of a body, throws the body away, and answers.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    """Run the receiver; gives its endpoint."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # so that a child that could not start is an EOFError here and no endless wait
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()


def _serve(pipe: Connection) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    pipe.send(server.getsockname()[1])
    while True:
        connection, _ = server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    buffer = bytearray(1024 * 1024)
    with connection, contextlib.suppress(OSError):
        while head := _head(connection):
            headers, body = head
            left = _length(headers) - len(body)
            while left > 0 and (got := connection.recv_into(buffer, min(left, len(buffer)))):
                left -= got
            connection.sendall(_ANSWER)


def _head(connection: socket.socket) -> tuple[bytes, bytes] | None:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return None
        data += chunk
    headers, _, body = data.partition(b"\r\n\r\n")
    return headers, body


def _length(headers: bytes) -> int:
    for line in headers.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
