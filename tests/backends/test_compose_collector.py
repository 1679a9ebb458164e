"""The Collector in the container of `synapse-otel up`, really run, with other addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from backends.compose import running_collector
from backends.servers import free_address
from synapse_otel import RuntimeContext
from synapse_otel.testing import Collector, Status

Run = Callable[[str, str], AbstractContextManager[RuntimeContext]]


@pytest.fixture
def run(otelcol: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Opens a run that sends through the Collector: to the stores, and its traces to Jaeger as well."""

    @contextmanager
    def open_run(stores: str, jaeger: str) -> Iterator[RuntimeContext]:
        with running_collector(otelcol, tmp_path / "container", stores, jaeger) as endpoint:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            with RuntimeContext.open(job_id="job-1", name="train") as ctx:
                yield ctx

    return open_run


def test_all_that_a_run_sends_is_passed_on_and_its_traces_to_jaeger_too(run: Run) -> None:
    """Every record of a run reaches the stores, and every span is in Jaeger as it is there."""
    with Collector() as stores, Collector(signals={"traces"}) as jaeger:
        with run(stores.http_endpoint, jaeger.http_endpoint) as ctx:
            ctx.set_metrics({"loss": 0.5}, "training")
            ctx.set_metrics({"loss": 0.25}, "training")
            ctx.log_message("half way")
        jaeger.wait_for(lambda collector: collector.span("train"))

    assert [point.value for point in stores.points_of("synapse.metric.loss")] == [0.5, 0.25]
    assert stores.messages == ["half way"]
    assert stores.span("train").status == "ok"
    assert {span.span_id: span for span in jaeger.spans} == {span.span_id: span for span in stores.spans}


def test_a_jaeger_that_is_away_holds_nothing_up(run: Run) -> None:
    """With nobody at Jaeger's address, a run is delivered to the stores all the same."""
    with Collector() as stores:
        with run(stores.http_endpoint, f"http://{free_address()}") as ctx:
            ctx.log_message("half way")
            assert ctx.flush(10)
        assert (stores.messages, stores.span("train").status) == (["half way"], "ok")


def test_what_the_stores_do_not_take_stays_in_the_journal(run: Run) -> None:
    """The Collector accepts nothing for stores that are away; when they are back, the run's journal delivers."""
    with Collector() as stores, run(stores.http_endpoint, stores.http_endpoint) as ctx:
        with stores.failing(Status(503)):
            ctx.log_message("half way")
            assert not ctx.flush(1)
        assert stores.messages == []
        assert ctx.flush(30)
        assert stores.messages == ["half way"]
