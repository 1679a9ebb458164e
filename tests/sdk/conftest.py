"""Tests with the real Synapse SDK, and a real Ray. They run in environments of their own: ``make test-synapse``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator

import pytest

from synapse_otel.testing import Collector

with warnings.catch_warnings():  # the SDK's own, of which there are some when it is imported
    warnings.simplefilter("ignore")
    import synapse_sdk.plugins  # noqa: F401  # for what it brings along


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the environment points to, for this process and those that it starts."""
    with Collector() as collector:
        for name, value in collector.env().items():
            monkeypatch.setenv(name, value)
        yield collector


@pytest.fixture
def instrumented(journal_dir: object) -> Iterator[None]:
    """The SDK is instrumented in this process, and is as it was afterwards."""
    from synapse_otel.sdk import SynapseInstrumentor

    instrumentor = SynapseInstrumentor()
    instrumentor.instrument()
    yield
    instrumentor.uninstrument()


@pytest.fixture
def child_env() -> dict[str, str]:
    """The environment of a program that finds the plugins of these tests."""
    here = os.path.dirname(__file__)
    return {**os.environ, "PYTHONPATH": here, "PYTHONWARNINGS": "ignore"}
