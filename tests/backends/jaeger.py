"""A real Jaeger, and what its query API returns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from backends.servers import Server, free_address, running

CONFIG = Path(__file__).parents[2] / "collector-config" / "jaeger-v2.yaml"


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a span, which Jaeger calls a log."""

    name: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """A span as Jaeger shows it.

    Args:
        tags: Its attributes and status, such as ``otel.status_code``.
        process: The attributes of its resource.
    """

    trace_id: str
    id: str
    parent: str
    name: str
    started_us: int
    took_us: int
    tags: dict[str, Any]
    process: dict[str, Any]
    events: list[Event]

    @property
    def status(self) -> str:
        """``OK``, ``ERROR``, or nothing where none was set."""
        return str(self.tags.get("otel.status_code", ""))


@dataclass(frozen=True, slots=True)
class Jaeger:
    """A Jaeger that runs."""

    server: Server
    url: str
    otlp_endpoint: str
    otlp_grpc_endpoint: str

    def env(self) -> dict[str, str]:
        """Return the variables that make a run send all that it has here."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp_endpoint}

    def services(self) -> list[str]:
        """Return the names of the services it knows."""
        return list(self.get("api/services")["data"] or [])

    def find(self, service: str = "synapse-plugin", **tags: str) -> list[list[Span]]:
        """Return the traces of a service with a span that has `tags`, or whose resource has them."""
        found = self.get("api/traces", service=service, tags=json.dumps(tags), limit=100, lookback="custom", start=0)
        return [_spans(trace) for trace in found["data"]]

    def run(self, job: str) -> list[Span]:
        """Return the one trace of a job."""
        (spans,) = self.find(job_id=job)
        return spans

    def trace(self, trace_id: str) -> list[Span]:
        """Return the spans of a trace in the order of their times."""
        (found,) = self.get(f"api/traces/{trace_id}")["data"]
        return _spans(found)

    def get(self, path: str, **params: Any) -> Any:
        """Return what the query API answers."""
        answer = requests.get(f"{self.url}/{path}", params=params, timeout=30)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def running_jaeger(program: Path, folder: Path) -> Iterator[Jaeger]:
    """Run Jaeger with the configuration of this project until the block is left."""
    ports = ("JAEGER_OTLP_GRPC", "JAEGER_OTLP_HTTP", "JAEGER_QUERY_HTTP", "JAEGER_QUERY_GRPC", "JAEGER_HEALTH")
    address = {port: free_address() for port in ports}
    ready = f"http://{address['JAEGER_HEALTH']}/status"
    with running(Server([program, f"--config={CONFIG}"], folder, ready, address)) as server:
        yield Jaeger(
            server,
            f"http://{address['JAEGER_QUERY_HTTP']}",
            f"http://{address['JAEGER_OTLP_HTTP']}",
            f"http://{address['JAEGER_OTLP_GRPC']}",
        )


def named(spans: list[Span], name: str) -> Span:
    """Return the one span that is called so."""
    (span,) = [span for span in spans if span.name == name]
    return span


def tree(spans: list[Span]) -> list[tuple[str, str, str]]:
    """Return the name of each span's parent, its own and its status, in order."""
    names = {span.id: span.name for span in spans}
    return sorted((names.get(span.parent, span.parent), span.name, span.status) for span in spans)


def _spans(trace: dict[str, Any]) -> list[Span]:
    processes = {name: _tags(process["tags"]) for name, process in trace["processes"].items()}
    spans = [_span(span, processes) for span in trace["spans"]]
    return sorted(spans, key=lambda span: (span.started_us, -span.took_us))


def _span(span: dict[str, Any], processes: dict[str, dict[str, Any]]) -> Span:
    parents = [ref["spanID"] for ref in span["references"] if ref["refType"] == "CHILD_OF"]
    logs = [_tags(log["fields"]) for log in sorted(span["logs"], key=lambda log: log["timestamp"])]
    return Span(
        trace_id=span["traceID"],
        id=span["spanID"],
        parent=parents[0] if parents else "",
        name=span["operationName"],
        started_us=span["startTime"],
        took_us=span["duration"],
        tags=_tags(span["tags"]),
        process=processes[span["processID"]],
        events=[Event(fields.pop("event"), fields) for fields in logs],
    )


def _tags(tags: list[dict[str, Any]]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in tags}
