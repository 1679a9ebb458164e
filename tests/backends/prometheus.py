"""A real Prometheus that takes OTLP, and what it answers to queries."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from backends.servers import Server, free_address, running

CONFIG = Path(__file__).parents[2] / "collector-config" / "prometheus" / "prometheus.yaml"

Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample as Prometheus keeps it.

    Args:
        ms: Milliseconds since 1970.
        value: Its value, NaN and infinity too.
    """

    ms: int
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one set of labels, the metric's name among them as ``__name__``."""

    labels: Labels
    samples: list[Sample]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A Prometheus that runs."""

    server: Server
    url: str

    @property
    def otlp_endpoint(self) -> str:
        """Where it takes metrics."""
        return f"{self.url}/api/v1/otlp/v1/metrics"

    def env(self) -> dict[str, str]:
        """Return the variables that make a run send its metrics here, and nothing else."""
        return {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": self.otlp_endpoint,
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        }

    def query(self, promql: str, time: float | None = None) -> list[dict[str, Any]]:
        """Return the result of an instant query, as the API gives it."""
        return self._result("query", {"query": promql, "time": time})

    def query_range(self, promql: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """Return the result of a range query, as the API gives it."""
        return self._result("query_range", {"query": promql, "start": start, "end": end, "step": step})

    def samples(self, selector: str, seconds: float = 3600, until: float | None = None) -> list[Series]:
        """Return every sample of the `seconds` before `until` (a moment after now), as stored, ordered by labels."""
        until = time.time() + 5 if until is None else until
        found = self.query(f"{selector}[{round(seconds * 1000)}ms]", until)
        series = [Series(one["metric"], [_sample(*pair) for pair in one["values"]]) for one in found]
        return sorted(series, key=lambda one: sorted(one.labels.items()))

    def get(self, path: str, **params: Any) -> Any:
        """Return the data that the API answers with, such as of ``rules`` or ``status/config``."""
        answer = requests.get(f"{self.url}/api/v1/{path}", params=params, timeout=30).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def _result(self, path: str, params: Mapping[str, object]) -> list[dict[str, Any]]:
        data = self.get(path, **{name: value for name, value in params.items() if value is not None})
        return list(data["result"])


@contextmanager
def running_prometheus(program: Path, folder: Path, config: Path = CONFIG) -> Iterator[Prometheus]:
    """Run Prometheus with the configuration of this project until the block is left; its data are in `folder`."""
    address = free_address()
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--web.enable-otlp-receiver",
    ]
    with running(Server(command, folder, f"http://{address}/-/ready")) as server:
        yield Prometheus(server, f"http://{address}")


def _sample(seconds: float, value: str) -> Sample:
    return Sample(int(Decimal(str(seconds)) * 1000), float(value))
