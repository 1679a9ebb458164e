"""What is behind the SDK's loggers: a Synapse backend over HTTP, and the object that a `BackendLogger` publishes to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

_OF_THE_CONNECTION = frozenset({"connection", "content-length", "host"})


@dataclass(frozen=True)
class Request:
    """A request, as the backend received it; headers in lower case, without those of the connection."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Backend:
    """A Synapse backend on 127.0.0.1, on an ephemeral port, that answers everything alike and keeps what it receives.

    Args:
        status: What it answers with; 4xx refuses what it gets.
    """

    def __init__(self, status: int = 200) -> None:
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.requests, status))
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def env(self) -> dict[str, str]:
        """The environment variables that point the SDK here."""
        return {"SYNAPSE_HOST": self.url, "SYNAPSE_ACCESS_TOKEN": "a-made-up-token"}

    def client(self) -> Any:
        """A client of the SDK that talks to it."""
        from synapse_sdk.clients.backend import BackendClient

        return BackendClient(base_url=self.url, access_token="a-made-up-token")

    def taken(self) -> list[Request]:
        """What was received since the last time, in order of arrival."""
        taken = self.requests[:]
        self.requests.clear()
        return taken


def _handler(requests: list[Request], status: int) -> type[BaseHTTPRequestHandler]:
    answer = json.dumps({"id": 1} if status < 400 else {"detail": "a made-up refusal"}).encode()

    class Handler(BaseHTTPRequestHandler):  # HTTP/1.0: a connection for each request, so that none is left open
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            headers = {name: value for name, value in headers.items() if name not in _OF_THE_CONNECTION}
            requests.append(Request(self.command, self.path, headers, json.loads(body) if body else None))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PATCH = do_POST = do_PUT = _answer

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # what the base class calls it
            """Silent."""

    return Handler


@dataclass
class Published:
    """What a `BackendLogger` publishes to; it keeps everything, and fails where it is told to."""

    fails: bool = False
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def publish_progress(self, job_id: str, progress: Any) -> None:
        self._keep("progress", job_id, progress)

    def publish_metrics(self, job_id: str, metrics: dict[str, Any]) -> None:
        self._keep("metrics", job_id, {step: dict(values) for step, values in metrics.items()})

    def publish_log(self, job_id: str, log_entry: Any) -> None:
        self._keep("log", job_id, log_entry)

    def report_progress(self, **report: Any) -> None:
        """What the SDK's pipelines report to their service."""
        self._keep("report", report)

    def _keep(self, *call: Any) -> None:
        self.calls.append(call)
        if self.fails:
            raise ConnectionError("a made-up outage")
