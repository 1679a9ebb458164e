from __future__ import annotations

from collections.abc import Iterator

import pytest

from synapse_otel.testing import Collector


@pytest.fixture(params=["http/protobuf", "grpc"])
def protocol(request: pytest.FixtureRequest) -> str:
    """Each of the protocols."""
    return request.param


@pytest.fixture
def collector(protocol: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the environment points to."""
    with Collector() as collector:
        for name, value in collector.env(protocol).items():
            monkeypatch.setenv(name, value)
        yield collector
