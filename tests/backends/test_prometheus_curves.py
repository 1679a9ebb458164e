"""Loss curves in a real Prometheus: every sample, with its value and its time."""

from __future__ import annotations

import math
import time
from pathlib import Path

from backends import journaled
from backends.prometheus import Prometheus
from synapse_otel import RuntimeContext

KEY = ("synapse_category", "synapse_metric_key")


def test_every_sample_of_a_fast_curve_is_there(prometheus_backend: Prometheus, journal_dir: Path) -> None:
    """A sample every 10 ms for 10 s, NaN and infinity among them: a thousand, as the journal has them."""
    odd = {500: math.nan, 501: math.nan, 600: math.inf, 700: -math.inf}
    with RuntimeContext.open("fast", "train") as ctx:
        began = time.monotonic()
        for number in range(1000):
            ctx.set_metrics({"loss": odd.get(number, 1 / (number + 1))}, "training")
            time.sleep(max(0.0, began + (number + 1) * 0.01 - time.monotonic()))
        assert ctx.flush(10)
        assert ctx.report().dead_lettered == 0
    curves = journaled.stored(prometheus_backend, 'synapse_metric_loss{job_id="fast"}', *KEY)
    assert curves == journaled.metrics(journal_dir)
    ((_, samples),) = curves.items()
    values = [float.fromhex(value) for _, value in samples]
    assert values[:3] == [1.0, 0.5, 1 / 3]
    assert [number for number, value in enumerate(values) if not math.isfinite(value)] == [500, 501, 600, 700]
    assert len(values) == 1000


def test_samples_of_one_millisecond_are_all_there(prometheus_backend: Prometheus, journal_dir: Path) -> None:
    """A tight loop reports many times in a millisecond, which Prometheus keeps one sample of: none is lost."""
    with RuntimeContext.open("burst", "train") as ctx:
        for number in range(2000):
            ctx.set_metrics({"loss": number, "accuracy": -number}, "training")
        assert ctx.flush(10)
    curves = journaled.stored(prometheus_backend, '{__name__=~"synapse_metric_.+",job_id="burst"}', *KEY)
    assert curves == journaled.metrics(journal_dir)
    assert sorted(len(samples) for samples in curves.values()) == [2000, 2000]


def test_the_last_value_is_what_a_query_returns(prometheus_backend: Prometheus) -> None:
    """An instant query gives the last value, NaN too: it is no end of the series."""
    with RuntimeContext.open("last", "train") as ctx:
        ctx.set_metrics({"loss": 0.5}, "training")
        ctx.set_metrics({"loss": math.nan}, "training")
        assert ctx.flush(10)
    (found,) = prometheus_backend.query('synapse_metric_loss{job_id="last"}', time.time() + 1)
    assert found["value"][1] == "NaN"
    (found,) = prometheus_backend.query('count_over_time(synapse_metric_loss{job_id="last"}[1m])', time.time() + 1)
    assert found["value"][1] == "2"
